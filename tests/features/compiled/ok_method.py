"""nn.Module.compile in place, and a decorated function."""

import torch
from torch import nn
from torch._dynamo.utils import counters

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
net.compile(backend="aot_eager")
optimizer = torch.optim.SGD(net.parameters(), 0.1)
x, y = torch.randn(16, 6), torch.randint(2, (16,))


@torch.compile(backend="aot_eager", fullgraph=True)
def criterion(logits, target):
    return nn.functional.cross_entropy(logits, target) + 0.01 * logits.square().mean()


for step in range(8):
    optimizer.zero_grad()
    loss = criterion(net(x), y)
    loss.backward()
    optimizer.step()
print(round(loss.item(), 5))
breaks = sum(counters.pop("graph_break", {}).values())  # their texts name the caller
print({name: dict(kind) for name, kind in counters.items()}, breaks)
