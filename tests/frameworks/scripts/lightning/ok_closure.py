"""LBFGS: Lightning hands every optimizer a closure, this one calls it more than once."""

import logging

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import StochasticWeightAveraging
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
pl.seed_everything(0, verbose=False)


class Curve(pl.LightningModule):
    def __init__(self, optimizer, **options):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
        self.make = lambda parameters: optimizer(parameters, **options)

    def training_step(self, batch, _):
        x, y = batch
        return nn.functional.mse_loss(self.net(x), y)

    def configure_optimizers(self):
        return self.make(self.parameters())


def fit(model, **options):
    x = torch.linspace(-1, 1, 64).unsqueeze(1)
    trainer = pl.Trainer(
        max_epochs=4,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(model, DataLoader(TensorDataset(x, x.sin()), 32))
    print(round(model.net(x).sum().item(), 4))


fit(Curve(torch.optim.LBFGS, lr=0.5, max_iter=4))
fit(Curve(torch.optim.SGD, lr=0.1), callbacks=[StochasticWeightAveraging(0.05)])
