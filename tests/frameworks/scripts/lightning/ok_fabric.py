"""Fabric: one's own loop, with windows of accumulation and clipping."""

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
fabric.seed_everything(0, verbose=False)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.AdamW(model.parameters(), 0.01)
model, optimizer = fabric.setup(model, optimizer)
data = DataLoader(TensorDataset(torch.randn(96, 8), torch.randint(3, (96,))), 8)
data = fabric.setup_dataloaders(data)

for index, (x, y) in enumerate(data):
    accumulating = (index + 1) % 3 != 0
    with fabric.no_backward_sync(model, enabled=accumulating):
        loss = nn.functional.cross_entropy(model(x), y)
        fabric.backward(loss / 3)
    if not accumulating:
        fabric.clip_gradients(model, optimizer, max_norm=1.0)
        optimizer.step()
        optimizer.zero_grad()
print(round(loss.item(), 5))
