"""What the second convolution makes is overwritten: it starts from the first one's input."""

import torch
from torch import nn
from torch_geometric.nn import GCNConv

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = GCNConv(4, 8)
        self.second = GCNConv(4, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, x, edge_index):
        h = self.first(x, edge_index).relu()
        h = self.second(x, edge_index).relu()
        return self.head(h)


x, edge_index, y = torch.randn(20, 4), torch.randint(20, (2, 60)), torch.randint(2, (20,))
net = Net()
optimizer = torch.optim.Adam(net.parameters(), 0.01)
for epoch in range(8):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(net(x, edge_index), y)
    loss.backward()
    optimizer.step()
print(round(loss.item(), 5))
