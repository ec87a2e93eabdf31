"""Something to train, for the tests of blocks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

INPUTS, TARGETS = torch.linspace(-1, 1, 32).reshape(8, 4), torch.linspace(0, 1, 8).reshape(8, 1)

Make = Callable[[list[nn.Parameter]], torch.optim.Optimizer]

#: With a memory of what it stepped, and without one.
OPTIMIZERS: dict[str, Make] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.01),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9),
    "adam": torch.optim.Adam,
    "adagrad": torch.optim.Adagrad,  # makes its state when it is built
}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 3)
        self.spare = nn.Linear(3, 3)
        self.head = nn.Linear(3, 1)

    def forward(self, x):
        return self.head(self.encoder(x).relu())


class Cut(Net):
    def forward(self, x):
        features = self.encoder(x).detach()
        return self.head(features)


class Training:
    """A model and its optimizer, built before any block, and the three parts of an iteration."""

    def __init__(self, make: Make = OPTIMIZERS["sgd"], model: nn.Module | None = None):
        self.model = model or nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
        self.optimizer = make(list(self.model.parameters()))

    def loss(self):
        return nn.functional.mse_loss(self.model(INPUTS), TARGETS)

    def backward(self):
        self.loss().backward()

    def step(self):
        self.optimizer.step()

    def clear(self):
        self.optimizer.zero_grad()

    def iterate(self, times=1):
        for _ in range(times):
            self.clear()
            self.backward()
            self.step()
