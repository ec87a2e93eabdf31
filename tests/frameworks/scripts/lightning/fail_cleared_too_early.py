"""Manual optimization with two optimizers: one is cleared between its backward and its step."""

import logging

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
pl.seed_everything(0, verbose=False)


class Gan(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.generator = nn.Linear(4, 2)
        self.critic = nn.Linear(2, 1)

    def training_step(self, real, _):
        g_opt, d_opt = self.optimizers()
        fake = self.generator(torch.randn(len(real), 4))
        d_loss = (self.critic(fake.detach()) - self.critic(real)).mean()
        d_opt.zero_grad()
        self.manual_backward(d_loss)
        d_opt.step()

        g_loss = -self.critic(fake).mean()
        self.manual_backward(g_loss)
        g_opt.zero_grad()
        g_opt.step()

    def configure_optimizers(self):
        return (
            torch.optim.Adam(self.generator.parameters(), 0.01),
            torch.optim.Adam(self.critic.parameters(), 0.01),
        )


trainer = pl.Trainer(
    max_epochs=2,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(Gan(), DataLoader(torch.randn(64, 2), 16))
print(trainer.global_step)
