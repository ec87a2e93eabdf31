"""A compiled model that detaches inside."""

import torch
from torch import nn
from torch._dynamo.utils import counters

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 16), nn.Linear(16, 2)

    def forward(self, x):
        return self.second(self.first(x).relu().detach())


net = Net()
model = torch.compile(net, backend="aot_eager")
optimizer = torch.optim.SGD(net.parameters(), 0.1)
x, y = torch.randn(16, 6), torch.randint(2, (16,))
for step in range(8):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
print(round(loss.item(), 5))
breaks = sum(counters.pop("graph_break", {}).values())  # their texts name the caller
print({name: dict(kind) for name, kind in counters.items()}, breaks)
