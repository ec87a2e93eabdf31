"""The whole step is compiled: forward, backward, optimizer."""

import torch
from torch import nn
from torch._dynamo.utils import counters

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(net.parameters(), 0.1)
x, y = torch.randn(16, 6), torch.randint(2, (16,))


@torch.compile(backend="eager")
def step():
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
    return loss


for _ in range(8):
    loss = step()
print(round(loss.item(), 5))
texts = ("graph_break", "inline_call", "unimplemented")  # they name the caller (torch 2.8)
breaks = [sum(counters.pop(name, {}).values()) for name in texts]
print({name: dict(kind) for name, kind in counters.items()}, breaks)
