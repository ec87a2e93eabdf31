"""Two graph convolutions and attention over a random graph, with masks and an evaluation."""

import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GATConv, GCNConv, global_mean_pool

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = GCNConv(4, 8)
        self.second = GATConv(8, 8, heads=2)
        self.head = nn.Linear(16, 2)

    def forward(self, data):
        h = self.first(data.x, data.edge_index).relu()
        h = self.second(h, data.edge_index).relu()
        return self.head(global_mean_pool(h, data.batch))


graphs = [
    Data(x=torch.randn(6, 4), edge_index=torch.randint(6, (2, 14)), y=torch.randint(2, (1,)))
    for _ in range(24)
]
net = Net()
optimizer = torch.optim.Adam(net.parameters(), 0.01)
for epoch in range(3):
    net.train()
    for batch in DataLoader(graphs, 8):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(batch), batch.y)
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        right = sum(int((net(batch).argmax(1) == batch.y).sum()) for batch in DataLoader(graphs, 8))
    print(epoch, round(loss.item(), 5), right)
