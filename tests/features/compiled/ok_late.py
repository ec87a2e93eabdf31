"""Compiled behind some eager iterations, and a fallback to eager at a graph break."""

import torch
from torch import nn
from torch._dynamo.utils import counters

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 16), nn.Linear(16, 2)

    def forward(self, x):
        h = self.first(x).relu()
        torch._dynamo.graph_break()
        return self.second(h)


net = Net()
optimizer = torch.optim.SGD(net.parameters(), 0.1)
x, y = torch.randn(16, 6), torch.randint(2, (16,))
model = net
for step in range(12):
    if step == 4:
        model = torch.compile(net, backend="aot_eager")
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
print(round(loss.item(), 5))
breaks = sum(counters.pop("graph_break", {}).values())  # their texts name the caller
print({name: dict(kind) for name, kind in counters.items()}, breaks)
