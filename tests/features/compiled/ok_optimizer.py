"""A compiled optimizer step, around it everything is eager."""

import torch
from torch import nn
from torch._dynamo.utils import counters

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(net.parameters(), 0.1, foreach=True)
x, y = torch.randn(16, 6), torch.randint(2, (16,))
apply = torch.compile(optimizer.step, backend="eager")
for step in range(6):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(net(x), y)
    loss.backward()
    apply()
print(round(loss.item(), 5))
breaks = sum(counters.pop("graph_break", {}).values())  # their texts name the caller
print({name: dict(kind) for name, kind in counters.items()}, breaks)
