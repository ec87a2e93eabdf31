"""The optimizer is built before the adapters are put in: it holds what is now frozen."""

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

torch.manual_seed(0)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(8, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.encoder(x).relu())


model = Model()
optimizer = torch.optim.AdamW(model.parameters(), 0.01)
model = get_peft_model(model, LoraConfig(r=2, target_modules=["encoder"]))
x, y = torch.randn(64, 8), torch.randint(3, (64,))
for step in range(12):
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(round(loss.item(), 5))
