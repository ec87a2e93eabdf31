"""A supervised trainer that accumulates, an evaluator, a scheduler by handler."""

import torch
from ignite.engine import Events, create_supervised_evaluator, create_supervised_trainer
from ignite.metrics import Accuracy
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
data = DataLoader(TensorDataset(torch.randn(64, 8), torch.randint(3, (64,))), 8)
loss = nn.CrossEntropyLoss()
trainer = create_supervised_trainer(model, optimizer, loss, gradient_accumulation_steps=2)
evaluator = create_supervised_evaluator(model, {"accuracy": Accuracy()})


@trainer.on(Events.EPOCH_COMPLETED)
def evaluate(engine):
    evaluator.run(data)
    print(engine.state.epoch, evaluator.state.metrics["accuracy"], round(engine.state.output, 5))


trainer.run(data, max_epochs=3)
