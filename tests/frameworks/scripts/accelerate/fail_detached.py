"""What is gathered for a metric goes into the loss."""

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

set_seed(0)
accelerator = Accelerator(cpu=True)
encoder, head = nn.Linear(8, 16), nn.Linear(16, 3)
optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], 0.1)
data = DataLoader(TensorDataset(torch.randn(64, 8), torch.randint(3, (64,))), 8)
encoder, head, optimizer, data = accelerator.prepare(encoder, head, optimizer, data)

for x, y in data:
    optimizer.zero_grad()
    features = torch.tensor(encoder(x).relu().tolist())
    loss = nn.functional.cross_entropy(head(features), y)
    accelerator.backward(loss)
    optimizer.step()
print(round(loss.item(), 5))
