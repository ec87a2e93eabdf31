"""A GAN by manual optimization: two optimizers, toggled, in bfloat16."""

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
        self.generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
        self.critic = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))

    def training_step(self, real, _):
        to_generate, to_judge = self.optimizers()
        noise = torch.randn(len(real), 4)

        self.toggle_optimizer(to_generate)
        g_loss = nn.functional.softplus(-self.critic(self.generator(noise))).mean()
        to_generate.zero_grad()
        self.manual_backward(g_loss)
        self.clip_gradients(to_generate, gradient_clip_val=1.0)
        to_generate.step()
        self.untoggle_optimizer(to_generate)

        self.toggle_optimizer(to_judge)
        fake = self.generator(noise).detach()
        d_loss = nn.functional.softplus(-self.critic(real)).mean()
        d_loss = d_loss + nn.functional.softplus(self.critic(fake)).mean()
        to_judge.zero_grad()
        self.manual_backward(d_loss)
        to_judge.step()
        self.untoggle_optimizer(to_judge)
        self.log_dict({"g": g_loss, "d": d_loss})

    def configure_optimizers(self):
        return (
            torch.optim.Adam(self.generator.parameters(), 0.01),
            torch.optim.Adam(self.critic.parameters(), 0.01),
        )


trainer = pl.Trainer(
    max_epochs=2,
    accelerator="cpu",
    precision="bf16-mixed",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(Gan(), DataLoader(torch.randn(64, 2), 16))
print({name: round(value.item(), 5) for name, value in trainer.callback_metrics.items()})
