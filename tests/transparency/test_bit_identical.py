"""A script computes the same under the audit, to the last bit, and is left alone in the end."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from fixtures.table import FIXTURES
from fixtures.warm import Warm
from launch.twins import Result, Twins, write

#: Put before every script: what torch.manual_seed does not reach.
PROLOGUE = "import random, numpy; random.seed(0); numpy.random.seed(0)\n"

#: Appended to every script: all numbers that its variables lead to, and all generators.
EPILOGUE = """

def _tell():
    import hashlib, random
    import numpy, torch
    seen, digests = {}, []

    def note(name, tensor):
        data = tensor.detach().to_dense().contiguous().reshape(-1).view(torch.uint8)
        digests.append((name, hashlib.sha256(data.numpy().tobytes()).hexdigest()))

    def walk(name, value, depth=0):
        if id(value) in seen or depth > 6:
            return
        seen[id(value)] = value  # held, so that the id stays its own
        if isinstance(value, torch.Tensor):
            note(name, value)
            if value.is_leaf and value.grad is not None:
                note(name + ".grad", value.grad)
        elif isinstance(value, torch.nn.Module):
            for key, parameter in value.named_parameters():
                walk(name + "." + key, parameter, depth)
            for key, buffer in value.named_buffers():
                walk(name + "." + key, buffer, depth)
        elif isinstance(value, torch.optim.Optimizer):
            walk(name, value.state_dict(), depth)
        elif isinstance(value, dict):
            for key, item in value.items():
                walk(f"{name}[{key!r}]", item, depth + 1)
        elif isinstance(value, (list, tuple)):
            for key, item in enumerate(value):
                walk(f"{name}[{key}]", item, depth + 1)
        elif type(value).__module__ == "__main__":
            walk(name, vars(value), depth + 1)
        elif isinstance(value, float):
            digests.append((name, value.hex()))

    for name, value in list(globals().items()):
        if not name.startswith("__"):
            walk(name, value)
    print(*(f"{name} {digest}" for name, digest in digests), sep="\\n")
    print("parameters and states:", len(digests))
    print("torch", hashlib.sha256(torch.get_rng_state().numpy().tobytes()).hexdigest())
    print("numpy", hashlib.sha256(numpy.random.get_state()[1].tobytes()).hexdigest())
    print("random", hashlib.sha256(repr(random.getstate()).encode()).hexdigest())


_tell()
"""

HEALTHY = (
    "ema_teacher",
    "frozen_backbone",
    "gan",
    "lbfgs",
    "manual_sgd",
    "mixed_precision",
    "straight_through",
)

#: name -> source; each goes on for longer than it is watched closely, or does what is delicate.
SCRIPTS = {
    "dropout and augmentations": """
        import random
        import numpy as np
        import torch
        from torch import nn

        torch.manual_seed(0)

        def augment(x):
            if random.random() < 0.5:
                x = x.flip(1)
            if np.random.rand() < 0.3:
                x = x + 0.1 * torch.randn_like(x)
            return x * torch.empty(len(x), 1).uniform_(0.9, 1.1)

        model = nn.Sequential(
            nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(12, 12), nn.AlphaDropout(0.1), nn.Linear(12, 3),
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
        for step in range(60):
            x, y = augment(torch.randn(16, 6)), torch.randint(0, 3, (16,))
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            print(loss.item().hex())
    """,
    "data loader and Adam": """
        import torch
        from torch import nn
        from torch.utils.data import DataLoader, TensorDataset, random_split

        torch.manual_seed(1)
        data = TensorDataset(torch.randn(90, 5), torch.randn(90, 2))
        train, held_out = random_split(data, [70, 20])
        loader = DataLoader(train, batch_size=8, shuffle=True, num_workers=0, drop_last=True)
        model = nn.Sequential(nn.Linear(5, 9), nn.SiLU(), nn.Linear(9, 2))
        optimizer = torch.optim.Adam(
            [{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 3e-3}],
            lr=1e-3, weight_decay=0.01, amsgrad=True,
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=40)
        for epoch in range(5):
            model.train()
            for x, y in loader:
                optimizer.zero_grad()
                loss = (model(x) - y).square().mean()
                loss.backward()
                print(nn.utils.clip_grad_norm_(model.parameters(), 0.5).item().hex())
                optimizer.step()
                schedule.step()
            model.eval()
            with torch.no_grad():
                for x, y in DataLoader(held_out, batch_size=20):
                    print(epoch, (model(x) - y).abs().mean().item().hex())
    """,
    "autocast and checkpoints": """
        import torch
        from torch import nn
        from torch.utils.checkpoint import checkpoint

        torch.manual_seed(2)
        first = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Dropout(0.2))
        second = nn.Linear(16, 4)
        optimizer = torch.optim.AdamW([*first.parameters(), *second.parameters()], lr=1e-2)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8, growth_interval=5)
        for step in range(30):
            x = torch.randn(10, 8)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                hidden = checkpoint(first, x, use_reentrant=False)
                loss = nn.functional.mse_loss(second(hidden).float(), x[:, :4])
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            print(loss.item().hex(), scaler.get_scale())
    """,
    "second derivatives, hooks and functions of its own": """
        import torch
        from torch import nn
        from torch.nn.utils.parametrizations import spectral_norm, weight_norm

        class Round(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x.round()

            @staticmethod
            def backward(ctx, grad):
                (x,) = ctx.saved_tensors
                return grad * (x.abs() < 2)

        torch.manual_seed(3)
        critic = nn.Sequential(
            weight_norm(nn.Linear(4, 8)), nn.Tanh(), spectral_norm(nn.Linear(8, 1))
        )
        shift = nn.Parameter(torch.zeros(4, dtype=torch.float64))
        norms = []
        shift.register_hook(lambda grad: grad.clamp(-0.1, 0.1))
        shift.register_post_accumulate_grad_hook(lambda p: norms.append(p.grad.norm().item()))
        critic[1].register_full_backward_hook(lambda m, i, o: norms.append(o[0].norm().item()))
        optimizer = torch.optim.RMSprop([*critic.parameters(), shift], lr=1e-3)
        for step in range(30):
            x = (torch.randn(6, 4) + shift).float()
            mixed = Round.apply(4 * x) / 4
            score = critic(mixed).mean()
            (slope,) = torch.autograd.grad(score, x, create_graph=True)
            loss = -score + 10 * (slope.norm(dim=1) - 1).square().mean()
            optimizer.zero_grad()
            loss.backward(retain_graph=True)
            (0.1 * score).backward()
            optimizer.step()
            print(loss.item().hex())
    """,
    "recurrence, with its state carried on": """
        import torch
        from torch import nn

        torch.manual_seed(4)
        generator = torch.Generator().manual_seed(5)
        table = nn.Embedding(11, 6, sparse=True)
        rnn = nn.LSTM(6, 7, num_layers=2, dropout=0.2)
        out = nn.Linear(7, 11)
        dense = torch.optim.Adagrad([*rnn.parameters(), *out.parameters()], lr=0.02)
        sparse = torch.optim.SparseAdam(table.parameters(), lr=0.02)
        state = None
        for step in range(25):
            ids = torch.randint(0, 11, (9, 3), generator=generator)
            hidden, state = rnn(table(ids), state)
            state = tuple(part.detach() for part in state)
            loss = nn.functional.cross_entropy(out(hidden[:-1]).flatten(0, 1), ids[1:].flatten())
            for optimizer in (dense, sparse):
                optimizer.zero_grad()
            loss.backward()
            for optimizer in (dense, sparse):
                optimizer.step()
            print(loss.item().hex(), torch.bernoulli(torch.full((3,), 0.5)).tolist())
    """,
    "warnings, and torch functions of many kinds": """
        import torch
        from torch import nn
        from torch.func import functional_call, grad, vmap

        torch.manual_seed(6)
        net = nn.Linear(3, 1)
        weights = {name: p.detach().clone() for name, p in net.named_parameters()}

        def loss_of(weights, x, y):
            return (functional_call(net, weights, (x[None],)) - y).square().sum()

        x, y = torch.randn(5, 3), torch.randn(5)
        each = vmap(grad(loss_of), in_dims=(None, 0, 0))(weights, x, y)
        (net(x) * 2).sum().grad
        print(torch.autograd.functional.jacobian(lambda v: v**2, torch.arange(3.0)))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
        schedule.step()
        for step in range(4):
            x = torch.randn(5, 3)
            buffer = torch.zeros(5, 1)
            buffer[:3] = net(x)[:3]
            loss = nn.functional.mse_loss(buffer, torch.ones(5))
            net.zero_grad()
            loss.backward()
            with torch.inference_mode():
                print(net(x).sum().item().hex())
            optimizer.step()
            print(repr(loss), repr(net.weight.grad), each["weight"].shape)
    """,
}

#: Run in processes of their own; all others in forks of one.
COLD = ("data loader and Adam",)


def both(warm: Warm, directory: Path, source: str) -> tuple[Result, Result]:
    """A script, plain and audited."""
    script = write(directory / "train.py", source)
    audit = ("run", "--quiet", "--fail-on", "never", "train.py")
    return warm.plain(directory, str(script)), warm.attentive(directory, *audit)


def same(plain: Result, audited: Result) -> None:
    assert plain.code == 0, plain.err
    assert "parameters and states:" in plain.out
    assert audited.out == plain.out
    assert audited.err == plain.err
    assert audited.code == 0


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_fixture(warm, tmp_path, name):
    source = (FIXTURES / "healthy" / f"{name}.py").read_text()
    same(*both(warm, tmp_path, PROLOGUE + source + EPILOGUE))


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(request, tmp_path, name):
    source = PROLOGUE + textwrap.dedent(SCRIPTS[name]) + EPILOGUE
    if name not in COLD:
        same(*both(request.getfixturevalue("warm"), tmp_path, source))
        return
    write(tmp_path / "train.py", source)
    options = ("--quiet", "--fail-on", "never")
    twins = Twins(tmp_path, "train.py", options=options, env={"OMP_NUM_THREADS": "1"})
    same(twins.plain, twins.audited)


KEPT = """
    import gc, sys, weakref
    import torch
    from torch import nn
    from torch.overrides import _get_current_function_mode_stack as modes

    def train(iterations):
        model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        kept = 0
        for iteration in range(iterations):
            x = torch.randn(3, 4)
            hidden = model[0](x)
            hidden.retain_grad()
            loss = model[2](hidden.relu()).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched = [x, hidden, hidden.grad, loss, model[0].weight.grad]
            references = [weakref.ref(thing) for thing in watched]
            del x, hidden, loss, watched
            optimizer.zero_grad()
            kept += sum(reference() is not None for reference in references)
        return kept, [weakref.ref(thing) for thing in (model, optimizer, model[0].weight)]

    torch.manual_seed(0)
    gc.disable()
    for iterations in (8, 400):
        kept, references = train(iterations)
        gc.collect()
        print(iterations, kept, [reference() is not None for reference in references])
    print("parameters and states:", kept)
"""


def test_nothing_is_kept_alive(warm, tmp_path):
    plain, audited = both(warm, tmp_path, KEPT)
    assert "8 0 [False, False, False]\n400 0 [False, False, False]\n" in plain.out
    same(plain, audited)


LEFT = """
    import sys, threading
    import torch
    from torch.overrides import _get_current_function_mode_stack as modes

    torch.manual_seed(0)
    apply = torch.autograd.Function.apply
    weight = torch.nn.Parameter(torch.ones(20, 20))
    optimizer = torch.optim.SGD([weight], lr=1e-3)
    for iteration in range(400):
        optimizer.zero_grad()
        x = torch.randn(5, 20)
        for _ in range(20):
            x = torch.tanh(x @ weight)
        x.square().mean().backward()
        optimizer.step()
        if iteration == 1:
            print("at first:", sys.gettrace() is not None, len(modes()))
    print("at last:", sys.gettrace() is not None, len(modes()))
    assert sys.gettrace() is None
    assert sys.getprofile() is None
    assert threading.gettrace() is None
    assert not modes()
    assert not torch.utils._python_dispatch._get_current_dispatch_mode_stack()
"""


def test_the_training_is_left_alone_once_it_is_known(warm, tmp_path):
    plain, audited = both(warm, tmp_path, LEFT)
    assert plain.out == "at first: False 0\nat last: False 0\n"
    assert audited.out == "at first: True 1\nat last: False 0\n"
    assert (plain.code, plain.err) == (audited.code, audited.err) == (0, "")
