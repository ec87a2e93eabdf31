import torch
from stopwatch import measure
from torch import nn

model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
parts = [(torch.randn(32, 64), torch.randint(10, (32,))) for _ in range(16)]


def step():
    optimizer.zero_grad()
    for x, y in parts:
        loss = nn.functional.cross_entropy(model(x), y) / len(parts)
        loss.backward()
    optimizer.step()


measure(step)
