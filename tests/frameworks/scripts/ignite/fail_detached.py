"""The model detaches its features; the update function is Ignite's."""

import torch
from ignite.engine import create_supervised_trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(8, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        features = self.encoder(x).relu()
        return self.head(features.data)


model = Model()
optimizer = torch.optim.SGD(model.parameters(), 0.1)
data = DataLoader(TensorDataset(torch.randn(64, 8), torch.randint(3, (64,))), 8)
trainer = create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss())
print(round(trainer.run(data, max_epochs=2).output, 5))
