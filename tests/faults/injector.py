"""Runs one training again and again, each time with another fault inside the audit.

A program of its own: ``injector.py SCRIPT PART OF``.  Every function and method of
``gradaudit.observe`` that the training calls is found by looking, and made to fail in two ways; the
PARTth of so many parts of all these runs is done.  Each is told in a line of JSON, behind one of a
plain run and one of a sound audit.

It is run under a file name in angle brackets, so that its frames are nobody's own code.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import io
import json
import os
import pkgutil
import runpy
import sys
import types
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch._dynamo.backends.debugging  # torch.compile would import it, at its first call
import torch.overrides

import gradaudit.observe
from gradaudit.launch.watch import Watch
from gradaudit.model.run import Limits, RunFacts
from gradaudit.observe import probe
from gradaudit.rules.assemble import assemble

#: How many faults one process goes through.
BATCH = 12

KINDS = (RuntimeError, MemoryError, RecursionError, AttributeError)

#: What is wrapped or replaced while a run is audited.
REPLACED = {
    "_engine_run_backward": lambda: torch.autograd._engine_run_backward,
    "Optimizer.zero_grad": lambda: torch.optim.Optimizer.zero_grad,
    "Module.zero_grad": lambda: torch.nn.Module.zero_grad,
    "_patch_step_function": lambda: torch.optim.Optimizer._patch_step_function,
    "GradScaler.scale": lambda: torch.amp.GradScaler.scale,
    "Function.apply": lambda: vars(torch.autograd.Function)["apply"],
    "Parameter.__new__": lambda: torch.nn.Parameter.__new__,
    "torch.compile": lambda: torch.compile,
    "sys.settrace": sys.gettrace,
    "modes": torch.overrides._get_current_function_mode_stack,
}

Function = Callable[..., Any]

#: Where torch and Python come in, and what a fault inside them runs into: the guards themselves.
#: All that these call is made to fail.
GUARDS = frozenset(
    {
        "backward.BackwardDoor._leaves",
        "backward.BackwardDoor.backward_enters",
        "care.Care.failed",
        "care.Care.gap",
        "care.Care.inside",
        "care.Inside.__enter__",
        "care.Inside.__exit__",
        "care.Inside.__init__",
        "care._described",
        "care._say",
        "headroom.Headroom.__enter__",
        "headroom.Headroom.__exit__",
        "measured.Measured._ran",
        "function_mode.CallMode.__torch_function__",
        "function_mode.CallMode._after",
        "function_mode.CallMode._before",
        "function_mode.CallMode._broke",
        "function_mode._call",  # a pattern for others, never called
        "leaves.Leaves._lost",
        "optimizers.Steps._enters",
        "optimizers.Steps._leaves",
        "patches.without_this_frame",
        "probe.Probe._fault",
        "probe.Probe._guarded",
        "probe.Probe.applied",
        "probe.Probe.comes_back",
        "probe.Probe.made",
        "probe.Probe.made_by",
        "probe.Probe.stands_aside",
        "recorder.Recorder._leave_child_alone",
        "recorder.Recorder.finish",
        "registration.RegistrationDoor.nested",
        "registration.RegistrationDoor.registered",
        "scaling.ScalingDoor.scaled",
        "scaling.ScalingDoor.unscaled",
        "stepping.SteppingDoor._zero_grad_leaves",
        "stepping.SteppingDoor.closure_enters",
        "stepping.SteppingDoor.optimizer_built",
        "stepping.SteppingDoor.step_enters",
        "stepping.SteppingDoor.step_leaves",
        "stepping.SteppingDoor.zero_grad_enters",
        "tracer.LoopTracer._broke",
        "tracer.LoopTracer._global",
        "tracer.LoopTracer._local",
    }
)


def modules() -> list[types.ModuleType]:
    found = pkgutil.walk_packages(gradaudit.observe.__path__, "gradaudit.observe.")
    return [importlib.import_module(each.name) for each in found]


def callables() -> Iterator[tuple[str, object, str, Any]]:
    """Name, owner, attribute and value of every function and method that is to fail."""
    return (each for each in defined() if each[0] not in GUARDS)


def defined() -> Iterator[tuple[str, object, str, Any]]:
    """The same of all that the observers have."""
    for module in modules():
        short = module.__name__.rpartition(".")[2]
        for name, value in list(vars(module).items()):
            if getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isclass(value):
                for attribute, member in list(vars(value).items()):
                    if isinstance(
                        member, (types.FunctionType, staticmethod, classmethod, property)
                    ):
                        yield f"{short}.{name}.{attribute}", value, attribute, member
            elif callable(value):
                yield f"{short}.{name}", module, name, value


def wrap(
    owner: object, attribute: str, value: Any, wrapper: Callable[[Function], Function]
) -> None:
    """Wrap one callable, under every name by which a module knows it."""
    if isinstance(value, property):
        setattr(owner, attribute, property(wrapper(value.fget), value.fset))
    elif isinstance(value, (staticmethod, classmethod)):
        setattr(owner, attribute, type(value)(wrapper(value.__func__)))
    elif inspect.isclass(owner):
        setattr(owner, attribute, wrapper(value))
    else:
        wrapped = wrapper(value)
        for module in modules():
            for known, other in list(vars(module).items()):
                if other is value:
                    setattr(module, known, wrapped)


def unwrap(owner: object, attribute: str, value: Any) -> None:
    """Undo it."""
    if inspect.isclass(owner):
        setattr(owner, attribute, value)
        return
    wrapped = getattr(owner, attribute)
    for module in modules():
        for known, other in list(vars(module).items()):
            if other is wrapped:
                setattr(module, known, value)


def before(function: Function, first: Callable[[], None]) -> Function:
    """The function, with something done ahead of every call."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        first()
        return function(*args, **kwargs)

    return wrapped


def counted(script: str) -> dict[str, int]:
    """How often each callable is called in a sound run."""
    counts: Counter[str] = Counter()
    for name, owner, attribute, value in list(callables()):
        count = functools.partial(counts.update, (name,))
        wrap(owner, attribute, value, functools.partial(before, first=count))
    audited(script)
    return dict(counts)


@dataclass(frozen=True)
class Fault:
    """One call that raises, or every one from there on."""

    name: str
    call: int
    lasting: bool
    kind: type[Exception]

    def run(self, script: str) -> dict[str, Any]:
        calls = raised = 0

        def first() -> None:
            nonlocal calls, raised
            calls += 1
            if calls == self.call or (self.lasting and calls > self.call):
                raised += 1
                raise self.kind("injected")

        owner, attribute, value = next(rest for name, *rest in callables() if name == self.name)
        wrap(owner, attribute, value, functools.partial(before, first=first))
        outcome = audited(script)
        unwrap(owner, attribute, value)
        fault = {"name": self.name, "lasting": self.lasting, "kind": self.kind.__name__}
        return {**fault, "raised": raised, **outcome}


def faults(counts: dict[str, int], part: int, of: int) -> Iterator[Fault]:
    """For every callable one at its first call, and one from the middle of them on."""
    for index, (name, count) in enumerate(counts.items()):
        early = Fault(name, 1, lasting=False, kind=KINDS[index % len(KINDS)])
        late = Fault(name, count // 2 + 1, lasting=True, kind=KINDS[(index + 1) % len(KINDS)])
        for place, fault in enumerate((early, late)):
            if (index + place) % of == part:
                yield fault


def audited(script: str) -> dict[str, Any]:
    """Run the script as launch does, and judge."""
    probe.PROBE_SECONDS = 0.0  # else all of so short a run would be probed
    probe.PROBE_ITERATIONS = probe.REOPENED_ITERATIONS = 1
    was = {name: look() for name, look in REPLACED.items()}
    broken: list[str] = []
    out, err = io.StringIO(), io.StringIO()
    gaps, findings = None, []
    sys.__stderr__ = err
    sys.modules["__main__"].__file__ = script
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        watch = Watch(Limits(), lambda error: broken.append(repr(error)), lambda _: None)
        watch._begin()
        ended = plain(script)
        if watch.recorder is not None:
            try:
                report = assemble(watch.recorder.finish(), facts())
            except Exception as error:  # as launch does
                broken.append(repr(error))
            else:
                gaps = [gap.what for gap in report.coverage.gaps]
                findings = [f"{each.rule} {each.message}" for each in report.findings]
    return {
        "out": out.getvalue(),
        "err": err.getvalue(),
        "ended": ended,
        "broken": broken,
        "gaps": gaps,
        "findings": findings,
        "left": [name for name, look in REPLACED.items() if look() != was[name]],
    }


def plain(script: str) -> str:
    try:
        runpy.run_path(script, run_name="__main__")
    except BaseException as error:
        return repr(error)
    return ""


def facts() -> RunFacts:
    return RunFacts("training.py", ("training.py",), "", "completed", 0, None, 0.0)


def forked(results: Callable[[], Iterable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What a child yields."""
    reading, writing = os.pipe()
    if not os.fork():
        try:
            with os.fdopen(writing, "w") as pipe:
                for result in results():
                    pipe.write(json.dumps(result) + "\n")
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        lines = pipe.readlines()
    os.wait()
    return [json.loads(line) for line in lines]


def batch(script: str, todo: list[Fault]) -> Iterator[dict[str, Any]]:
    """Several faults, one after the other, unless one leaves something behind for the next."""
    for fault in todo[:BATCH]:
        result = fault.run(script)
        yield result
        if result["left"]:
            return


def main(script: str, part: int, of: int) -> None:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        sound = forked(
            lambda: [{"ended": plain(script), "out": out.getvalue(), "err": err.getvalue()}]
        )
    results = [*sound, *forked(lambda: [audited(script)])]
    (counts,) = forked(lambda: [counted(script)])
    todo = list(faults(counts, part, of))
    while todo:
        done = forked(functools.partial(batch, script, todo))
        results += done or [{"name": todo[0].name, "crashed": True}]
        todo = todo[max(len(done), 1) :]
    for result in results:
        sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
