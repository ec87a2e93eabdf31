"""Compiled autograd."""

import torch
from torch import nn
from torch._dynamo import compiled_autograd
from torch._dynamo.utils import counters

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(net.parameters(), 0.1)
x, y = torch.randn(16, 6), torch.randint(2, (16,))
# torch 2.4 has not made it private yet
enable = getattr(compiled_autograd, "_enable", None) or compiled_autograd.enable
for step in range(6):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(net(x), y)
    with enable(torch.compile(backend="eager")):
        loss.backward()
    optimizer.step()
print(round(loss.item(), 5))
breaks = sum(counters.pop("graph_break", {}).values())  # their texts name the caller
print({name: dict(kind) for name, kind in counters.items()}, breaks)
