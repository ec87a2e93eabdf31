"""A healthy training that uses a little of everything the audit looks at, in few iterations."""

import copy
import hashlib

import torch
from torch import nn
from torch.func import functional_call, grad, vmap

torch.manual_seed(0)


class Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        self.head = nn.Linear(4, 2)
        self.scale = nn.Parameter(torch.ones(()))
        self.shifts = [torch.zeros(2, requires_grad=True)]

    def forward(self, x):
        hidden = self.body(x)
        hidden = Round.apply(8 * hidden) / 8
        with torch.no_grad():
            spread = hidden.std().item()
        return self.head(hidden) * self.scale / (1 + spread) + self.shifts[0]


def train(net, iterations):
    optimizer = torch.optim.Adam(
        [{"params": [*net.parameters()]}, {"params": net.shifts, "lr": 0.1}], lr=0.01
    )
    average = copy.deepcopy(net).requires_grad_(False)
    for _ in range(iterations):
        x = torch.randn(5, 3)
        out = net(x)
        out.retain_grad()
        loss = out.square().mean()
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        for old, new in zip(average.parameters(), net.parameters(), strict=True):
            old.data.mul_(0.9).add_(new.data, alpha=0.1)
        print(loss.item().hex(), float(out.grad.norm()).hex())
    return average


def scaled(net, iterations):
    """Mixed precision, two backwards in every step."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for _ in range(iterations):
        optimizer.zero_grad()
        for part in torch.randn(2, 4, 3):
            loss = net(part).abs().mean()
            scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        print(loss.item().hex(), scaler.get_scale())


def with_closure(iterations):
    weight = torch.full((3,), 2.0, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=3)

    def closure():
        optimizer.zero_grad()
        loss = (weight - 1).square().sum()
        loss.backward()
        return loss

    for _ in range(iterations):
        print(optimizer.step(closure).item().hex())


def by_hand(iterations):
    """Updated, cleared, rescaled and read by the script itself; slopes by torch.autograd.grad."""
    w = torch.ones(3, requires_grad=True)
    for _ in range(iterations):
        x = torch.randn(3, requires_grad=True)
        score = (w * x).tanh().sum()
        (slope,) = torch.autograd.grad(score, x, create_graph=True)
        (score + slope.square().sum()).backward()
        w.grad *= 0.5
        with torch.no_grad():
            w -= 0.1 * w.grad
        w.grad = None
    print(w.tolist())


def evaluate(net):
    """What has no gradient: a fused path, per-sample gradients, a copy by numbers."""
    encoder = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()
    with torch.inference_mode():
        print(encoder(torch.ones(1, 2, 4)).sum().item().hex())
    weights = {name: value.detach() for name, value in net.named_parameters()}

    def output(weights, x):
        return functional_call(
            net.head, {k[5:]: v for k, v in weights.items() if k[:4] == "head"}, (x,)
        ).sum()

    each = vmap(grad(output), in_dims=(None, 0))(weights, torch.ones(2, 4))
    print({name: tuple(value.shape) for name, value in each.items()})
    print(torch.tensor(net.scale.item() * 2), torch.from_numpy(net.head.bias.detach().numpy()))


def refused():
    """Errors of torch's that the script expects."""
    x = torch.ones(2, requires_grad=True)
    loss = x.square().sum()
    loss.backward()
    for attempt in (loss.backward, torch.optim.SGD([x], lr=0.1).zero_grad, x.square().backward):
        try:
            attempt()
        except RuntimeError as error:
            print(type(error).__name__)


net = Net()
net.head = nn.Linear(4, 2)
net.body = nn.Sequential(*net.body, nn.Linear(4, 4))
average = train(net, 4)
evaluate(net)
small = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
scaled(small, 3)
with_closure(2)
by_hand(4)
refused()
torch.compile(small, backend="eager")
for name, value in [*net.state_dict().items(), *average.state_dict().items()]:
    print(name, hashlib.sha256(value.numpy().tobytes()).hexdigest())
print(hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest())
