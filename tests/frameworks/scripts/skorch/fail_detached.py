"""The hidden layer is detached."""

import torch
from skorch import NeuralNetRegressor
from torch import nn

torch.manual_seed(0)


class Module(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(8, 16)
        self.out = nn.Linear(16, 1)

    def forward(self, x):
        return self.out(self.hidden(x).relu().detach())


x, y = torch.randn(64, 8).numpy(), torch.randn(64, 1).numpy()
net = NeuralNetRegressor(Module, max_epochs=3, lr=0.05, batch_size=16, verbose=0, train_split=None)
net.fit(x, y)
print([round(loss, 5) for loss in net.history[:, "train_loss"]])
