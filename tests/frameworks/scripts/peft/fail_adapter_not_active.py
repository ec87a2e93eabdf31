"""A second adapter is added and never made the active one; the optimizer trains it all the same."""

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
model = get_peft_model(net, LoraConfig(r=2, target_modules=["0"]), adapter_name="first")
model.add_adapter("second", LoraConfig(r=2, target_modules=["2"]))
for name, parameter in model.named_parameters():
    parameter.requires_grad = "lora_" in name
optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), 0.01)
x, y = torch.randn(64, 8), torch.randint(3, (64,))
for step in range(12):
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(round(loss.item(), 5))
