import torch
from stopwatch import measure
from torch import nn

model = nn.Sequential(*[nn.Linear(8, 8) for _ in range(500)])  # 1,000 parameter tensors
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
x = torch.randn(4, 8)


def step():
    optimizer.zero_grad()
    loss = model(x).square().mean()
    loss.backward()
    optimizer.step()


measure(step)
