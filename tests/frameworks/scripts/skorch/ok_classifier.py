"""A classifier that is fitted, with clipping and a validation split."""

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import EarlyStopping, Freezer, GradientNormClipping
from torch import nn

torch.manual_seed(0)


class Module(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, 8)
        self.body = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.body(self.embed(x))).softmax(-1)


x, y = torch.randn(96, 8).numpy(), torch.randint(3, (96,)).numpy()
net = NeuralNetClassifier(
    Module,
    max_epochs=3,
    lr=0.05,
    batch_size=16,
    verbose=0,
    callbacks=[GradientNormClipping(1.0), Freezer("embed.*"), EarlyStopping(patience=3)],
)
net.fit(x, y)
print([round(loss, 5) for loss in net.history[:, "train_loss"]], net.predict(x)[:5])
