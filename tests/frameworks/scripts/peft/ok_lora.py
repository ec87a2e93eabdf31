"""LoRA on two layers of one's own model; the optimizer gets all parameters."""

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

torch.manual_seed(0)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(8, 16)
        self.hidden = nn.Linear(16, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.hidden(self.encoder(x).relu()).relu())


config = LoraConfig(r=2, target_modules=["encoder", "hidden"], modules_to_save=["head"])
model = get_peft_model(Model(), config)
optimizer = torch.optim.AdamW(model.parameters(), 0.01)
x, y = torch.randn(64, 8), torch.randint(3, (64,))
for step in range(12):
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(round(loss.item(), 5), round(model.merge_and_unload()(x).sum().item(), 4))
