"""Clipped behind the step."""

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

set_seed(0)
accelerator = Accelerator(cpu=True)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.AdamW(model.parameters(), 0.01)
data = DataLoader(TensorDataset(torch.randn(72, 8), torch.randint(3, (72,))), 4)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
model, optimizer, data, scheduler = accelerator.prepare(model, optimizer, data, scheduler)

for epoch in range(2):
    model.train()
    for x, y in data:
        with accelerator.accumulate(model):
            loss = nn.functional.cross_entropy(model(x), y)
            accelerator.backward(loss)
            optimizer.step()
            accelerator.clip_grad_norm_(model.parameters(), 1.0)
            scheduler.step()
            optimizer.zero_grad()
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(1) == y).sum() for x, y in data)
    print(epoch, round(loss.item(), 5), int(accelerator.gather(right)))
