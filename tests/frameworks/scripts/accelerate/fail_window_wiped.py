"""The optimizer is not prepared, so accumulate() cannot keep it from stepping and clearing."""

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

set_seed(0)
accelerator = Accelerator(cpu=True, gradient_accumulation_steps=4)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.AdamW(model.parameters(), 0.01)
data = DataLoader(TensorDataset(torch.randn(64, 8), torch.randint(3, (64,))), 4)
model, data = accelerator.prepare(model, data)

for x, y in data:
    with accelerator.accumulate(model):
        loss = nn.functional.cross_entropy(model(x), y)
        accelerator.backward(loss)
        if accelerator.sync_gradients:
            optimizer.step()
        optimizer.zero_grad()
print(round(loss.item(), 5))
