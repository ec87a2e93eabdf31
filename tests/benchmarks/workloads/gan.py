import torch
from stopwatch import measure
from torch import nn

generator = nn.Sequential(nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, 256), nn.Tanh())
discriminator = nn.Sequential(nn.Linear(256, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1))
optimizer_g = torch.optim.Adam(generator.parameters(), lr=2e-4)
optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=2e-4)
criterion = nn.BCEWithLogitsLoss()
images, real, fake = torch.randn(64, 256), torch.ones(64, 1), torch.zeros(64, 1)


def step():
    generated = generator(torch.randn(64, 32))
    optimizer_d.zero_grad()
    loss_d = criterion(discriminator(images), real)
    loss_d = loss_d + criterion(discriminator(generated.detach()), fake)
    loss_d.backward()
    optimizer_d.step()
    optimizer_g.zero_grad()
    criterion(discriminator(generated), real).backward()
    optimizer_g.step()


measure(step)
