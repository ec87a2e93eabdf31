"""Scripts in which everything goes wrong that can; each is to end as it does under plain Python."""

from __future__ import annotations

#: Put before each: a small model that is trained in the right way.
MODEL = """\
import os, signal, sys, threading, traceback, weakref
import torch
from torch import nn

torch.manual_seed(0)

def make():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    return model, torch.optim.SGD(model.parameters(), lr=0.1)

def train(model, optimizer, iterations=3, forward=None):
    for _ in range(iterations):
        optimizer.zero_grad()
        loss = (forward or model)(torch.randn(5, 3)).square().mean()
        loss.backward()
        optimizer.step()
    print(loss.item().hex(), [p.grad.norm().item().hex() for p in model.parameters()])

def tell(error):
    frames = traceback.extract_tb(error.__traceback__)
    if sys.version_info < (3, 11):  # a bare raise brings back the frame that has caught the error
        frames = [f for f in frames if "gradaudit" not in f.filename + f.name]
    assert not [f for f in frames if "gradaudit" in f.filename]
    print(type(error), error.args, [f.lineno for f in frames if f.filename == __file__])

model, optimizer = make()
"""

#: To the bottom of the stack and back; behind it everything is seen as before.
RECURSION = """\
def deeper(x, depth):
    return deeper(x + 1, depth + 1).clone()
def bottom():
    try:
        deeper(torch.ones(1, requires_grad=True), 0)
    except RecursionError as error:
        print(type(error))
def down(depth, then):
    return then() if depth == 0 else down(depth - 1, then)
train(model, optimizer, 2)
for start in range(6):  # the last call finds more or less room
    down(start, bottom)
down(300, lambda: train(model, optimizer, 1))
"""

#: name -> source; all of these are healthy in the end.
HEALTHY = {
    "errors in forward, backward, hooks and closures": """
        class Refusing(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x, where):
                ctx.where = where
                if where == "forward": raise ValueError("in forward")
                return x * 1
            @staticmethod
            def backward(ctx, gradient):
                if ctx.where == "backward": raise ValueError("in backward")
                return gradient, None

        def attempt(function):
            optimizer.zero_grad()
            try:
                function()
            except Exception as error:
                tell(error)

        def refuse(*_): raise KeyError("in a hook")

        def run(where):
            x = torch.ones(2, 3, requires_grad=True)
            return Refusing.apply(model(x), where).sum()

        train(model, optimizer)
        attempt(lambda: run("forward"))
        attempt(lambda: run("backward").backward())
        for register in (
            model[0].register_forward_hook,
            model[0].register_full_backward_hook,
            model[0].weight.register_hook,
            model[0].weight.register_post_accumulate_grad_hook,
        ):
            handle = register(refuse)
            attempt(lambda: run("").backward())
            handle.remove()
        for register in (optimizer.register_step_pre_hook, optimizer.register_step_post_hook):
            handle = register(refuse)
            attempt(lambda: (run("").backward(), optimizer.step()))
            handle.remove()

        def closure():
            run("").backward()
            raise ArithmeticError("in a closure")
        attempt(lambda: optimizer.step(closure))
        attempt(lambda: torch.autograd.grad(run("backward"), [*model.parameters()]))
        attempt(lambda: nn.Parameter(torch.ones(2, dtype=torch.int64)))
        attempt(lambda: torch.amp.GradScaler("cpu").scale(5))
        train(model, optimizer)
    """,
    "a tensor subclass that refuses": """
        class Guarded(torch.Tensor):
            refusing = False
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                if cls.refusing: raise LookupError(func.__name__)
                return super().__torch_function__(func, types, args, kwargs or {})
            def __getattr__(self, name): raise LookupError(name)
            def __repr__(self): raise LookupError("repr")

        x = torch.randn(5, 3).as_subclass(Guarded)
        weight = nn.Parameter(torch.ones(3).as_subclass(Guarded))
        own = torch.optim.SGD([weight], lr=0.1)
        for iteration in range(4):
            own.zero_grad()
            loss = (x * weight).sum()
            loss.backward()
            Guarded.refusing = True
            try:
                x + 1
            except LookupError as error:
                tell(error)
            Guarded.refusing = False
            own.step()
        print(weight.detach().as_subclass(torch.Tensor))
        train(model, optimizer)
    """,
    "deep recursion": RECURSION + "train(model, optimizer)",
    "trace and profile functions of its own, taken in the middle": """
        lines = []
        def trace(frame, event, arg):
            if frame.f_code.co_name == "step_by_step":
                lines.append((event, frame.f_lineno))
                return trace
        def step_by_step():
            x = 1
            return x + 1
        train(model, optimizer, 2)
        sys.settrace(trace)
        step_by_step()
        train(model, optimizer, 4)
        print(sys.gettrace() is trace, lines)
        sys.settrace(None)
        calls = []
        sys.setprofile(lambda frame, event, arg: calls.append(frame.f_code.co_name)
            if frame.f_code.co_name == "step_by_step" else None)
        step_by_step()
        train(model, optimizer, 2)
        sys.setprofile(None)
        print(calls)
    """,
    "forks that train": """
        train(model, optimizer, 2)
        for _ in range(2):
            sys.stdout.flush()
            child = os.fork()
            if not child:
                train(model, optimizer, 2)
                sys.stdout.flush()
                os._exit(sys.gettrace() is not None)
            print(os.waitpid(child, 0)[1])
            train(model, optimizer, 6)
    """,
    "memory runs out": """
        def forward(x):
            if len(sizes) < 3:
                sizes.append(len(x))
                raise (MemoryError if len(sizes) == 1 else torch.OutOfMemoryError)("no more of it")
            return model(x)
        sizes = []
        for _ in range(6):
            optimizer.zero_grad()
            try:
                loss = forward(torch.randn(8, 3)).sum()
                loss.backward()
            except (MemoryError, torch.OutOfMemoryError) as error:
                print(type(error), error)
                continue
            optimizer.step()
        try:
            torch.empty(1 << 60)
        except RuntimeError as error:
            print(type(error))
        train(model, optimizer)
    """,
    "hostile modules": """
        def refuse(*_, **__): raise RuntimeError("hands off")

        class Hostile(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(3, 1)
            def forward(self, x): return self.layer(x)
            def __hash__(self): return 1
            __eq__ = __ne__ = __repr__ = __str__ = __bool__ = __len__ = __iter__ = __dir__ = refuse
            def __getattr__(self, name):
                try:
                    return super().__getattr__(name)
                except AttributeError:
                    if name.startswith("_"): raise
                    raise RuntimeError(name) from None

        class Thing:
            __getattribute__ = __eq__ = __hash__ = __repr__ = __bool__ = __len__ = __call__ = refuse
            __class__ = property(refuse)

        class Yes(nn.Module):
            def __init__(self, value):
                super().__init__()
                self.weight = nn.Parameter(torch.full((3, 1), value))
            def forward(self, x): return x @ self.weight
            def __hash__(self): return 1
            def __eq__(self, other): return True

        thing = object.__new__(Thing)
        for kinds in ([Hostile(), Hostile()], [Yes(1.0), Yes(2.0)]):
            own = [torch.optim.SGD(each.layer.parameters() if isinstance(each, Hostile)
                else [each.weight], lr=0.1) for each in kinds]
            for iteration in range(6):
                for each, opt in zip(kinds, own):
                    nn.Module.zero_grad(each)
                    each(torch.ones(2, 3)).square().sum().backward()
                    opt.step()
            print([p.grad.tolist() for each in kinds for p in nn.Module.parameters(each)])
    """,
    "torch patched and reloaded by the script": """
        import importlib
        train(model, optimizer, 2)
        was = torch.Tensor.backward, torch.optim.SGD.step, torch.optim.Optimizer.zero_grad
        def backward(self, *args, **kwargs):
            print("backward")
            return was[0](self, *args, **kwargs)
        def step(self, *args, **kwargs):
            print("step")
            return was[1](self, *args, **kwargs)
        def zero_grad(self, *args, **kwargs):
            print("zero_grad")
            return was[2](self, *args, **kwargs)
        torch.Tensor.backward = backward
        torch.optim.SGD.step = step
        torch.optim.Optimizer.zero_grad = zero_grad
        train(model, optimizer, 2)
        torch.Tensor.backward, torch.optim.SGD.step, torch.optim.Optimizer.zero_grad = was
        for module in ("torch.optim.sgd", "torch.nn.modules.linear", "torch.autograd.grad_mode"):
            importlib.reload(sys.modules[module])
        train(*make(), 6)
        softmax = nn.functional.softmax
        nn.functional.softmax = lambda *args, **kwargs: 2 * softmax(*args, **kwargs)
        print(nn.functional.softmax(torch.ones(3), 0))
    """,
    "interrupted once, and going on": """
        train(model, optimizer, 2)
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            print("once")
        def interrupt(*_): signal.raise_signal(signal.SIGINT)
        for where in (model[0].register_forward_hook, model[0].weight.register_hook,
                      optimizer.register_step_pre_hook, optimizer.register_step_post_hook):
            handle = where(interrupt)
            try:
                train(model, optimizer, 1)
            except KeyboardInterrupt as error:
                tell(error)
            handle.remove()
            optimizer.zero_grad()
        train(model, optimizer, 6)
    """,
}

#: name -> (source, what the report must say it has not seen)
GAPS = {
    "another tracer has been there first": (
        """
        def trace(*_): return trace
        sys.settrace(trace)
        train(model, optimizer)
        print(sys.gettrace() is trace)
        """,
        "passes of loops",
    ),
    "threads that train beside the first": (
        """
        train(model, optimizer)
        def work():
            own, opt = make()
            for _ in range(3):
                train(own, opt, 2)
        for daemon in (True, False):
            thread = threading.Thread(target=work, daemon=daemon)
            thread.start()
            thread.join()
        train(model, optimizer)
        """,
        "training in other threads",
    ),
    "a thread that trains alone": (
        """
        thread = threading.Thread(target=train, args=(model, optimizer), daemon=True)
        thread.start()
        thread.join()
        """,
        "the dataflow",
    ),
}

#: name -> source; how each ends is its own affair.
ENDINGS = {
    "interrupted twice": """
        train(model, optimizer, 2)
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGINT)
    """,
    "an error in a hook of the backward": """
        def refuse(*_): raise KeyError("in a hook")
        model[0].weight.register_hook(refuse)
        train(model, optimizer)
    """,
    # by os._exit: in its own end the interpreter may abort over such a thread, audited or not
    "a daemon thread that trains on while the script ends": """
        began = threading.Event()
        def work():
            own, opt = make()
            while True:
                opt.zero_grad()
                own(torch.randn(5, 3)).sum().backward()
                opt.step()
                began.set()
        train(model, optimizer)
        threading.Thread(target=work, daemon=True).start()
        began.wait()
        print("ends", flush=True)
        os._exit(3)
    """,
}
