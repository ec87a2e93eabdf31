"""Random programs, run for real: what the ledger says is in ``.grad`` is what is in it.

Every backward adds a power of two of its own, so the value of a gradient tells which backwards are
in it.  A reference interpreter keeps which of them a step has applied already.
"""

from __future__ import annotations

import itertools
import linecache

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradaudit.model.run import Limits
from gradaudit.observe.recorder import Recorder

NAMES = ("a", "b", "c")
OWNERS = {"one": ("a", "b"), "two": ("c",)}

subsets = st.sets(st.sampled_from(NAMES), min_size=1).map(sorted)
statements = st.one_of(
    st.tuples(st.just("backward"), subsets),
    st.tuples(st.just("step"), st.sampled_from(sorted(OWNERS))),
    st.tuples(st.just("clear"), st.sampled_from(sorted(OWNERS))),
    st.tuples(st.just("zero"), st.sampled_from(sorted(OWNERS))),
    st.tuples(st.just("clear by hand"), st.sampled_from(NAMES)),
    st.tuples(st.just("zero by hand"), st.sampled_from(NAMES)),
    st.tuples(st.just("freeze"), st.sampled_from(NAMES)),
    st.tuples(st.just("thaw"), st.sampled_from(NAMES)),
    st.tuples(st.just("replace"), st.sampled_from(NAMES)),
)


class Truth:
    """The reference: which backwards are in each gradient, and which of them were applied."""

    def __init__(self) -> None:
        self.present: dict[str, list[int]] = {name: [] for name in NAMES}
        self.applied: dict[str, set[int]] = {name: set() for name in NAMES}
        self.frozen: set[str] = set()
        self.owners = {name: owner for owner, names in OWNERS.items() for name in names}

    def does(self, kind: str, about: object, number: int) -> None:
        if kind == "backward":
            for name in about:
                if name not in self.frozen:
                    self.present[name].append(number)
        elif kind == "step":
            for name in NAMES:
                if self.owners.get(name) == about:
                    self.applied[name].update(self.present[name])
        elif kind in ("clear", "zero"):
            for name in NAMES:
                if self.owners.get(name) == about:
                    self._empty(name)
        elif kind.endswith("by hand"):
            self._empty(about)
        elif kind == "freeze":
            self.frozen.add(about)
        elif kind == "thaw":
            self.frozen.discard(about)
        else:
            self._empty(about)
            self.owners.pop(about, None)
            self.frozen.discard(about)

    def _empty(self, name: str) -> None:
        self.present[name], self.applied[name] = [], set()


def source_of(program: list[tuple[str, object]], truth: Truth) -> tuple[str, list[int]]:
    """The program as a script, and the lines at which its statements stand."""
    lines = ["import torch", *(f"{name} = torch.nn.Parameter(torch.zeros(()))" for name in NAMES)]
    lines += [f"{o} = torch.optim.SGD([{', '.join(names)}], lr=0.0)" for o, names in OWNERS.items()]
    places = []
    for number, (kind, about) in enumerate(program):
        text = "pass"
        if kind == "backward":
            reached = [name for name in about if name not in truth.frozen]
            if reached:
                text = f"sum({2.0**number} * each for each in ({', '.join(reached)},)).backward()"
        elif kind == "step":
            text = f"{about}.step()"
        elif kind == "clear":
            text = f"{about}.zero_grad()"
        elif kind == "zero":
            text = f"{about}.zero_grad(set_to_none=False)"
        elif kind == "clear by hand":
            text = f"{about}.grad = None"
        elif kind == "zero by hand":
            text = f"_ = None if {about}.grad is None else {about}.grad.zero_()"
        elif kind in ("freeze", "thaw"):
            text = f"{about}.requires_grad_({kind == 'thaw'})"
        else:
            text = f"{about} = torch.nn.Parameter(torch.zeros(()))"
        lines.append(text)
        places.append(len(lines))
        lines.append(f"check({number})")
        truth.does(kind, about, number)
    return "\n".join(lines) + "\n", places


counter = itertools.count()


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(statements, min_size=1, max_size=14))
def test_the_ledger_says_what_the_tensors_hold(tmp_path, program):
    text, places = source_of(program, Truth())
    path = tmp_path / f"program_{next(counter)}.py"
    path.write_text(text)
    truth = Truth()
    recorder = Recorder(Limits(), lambda _, over: over + 1, main_file=str(path))

    def check(number: int) -> None:
        truth.does(*program[number], number)
        recorder._watch.point(("check", number))
        with torch._C.DisableTorchFunction():
            for name in NAMES:
                compare(variables[name], name)

    def compare(parameter: torch.Tensor, name: str) -> None:
        value = 0 if parameter.grad is None else int(parameter.grad.item())
        inside = [number for number in range(len(program)) if value >> number & 1]
        assert inside == truth.present[name]
        leaf = recorder._watch.leaves.find(parameter)
        if leaf is None or not leaf.told:
            assert not inside
            return
        life = recorder.ledger.life(leaf.number)
        held = [number for number in inside if number not in truth.applied[name]]
        lines = [entry.site.location.line for entry in life.stock for _ in range(entry.count)]
        assert lines == [places[number] for number in held]
        assert (life.held, life.spent) == (len(held), len(inside) - len(held))

    variables = {"check": check, "__name__": "program"}
    recorder.install()
    try:
        exec(compile(text, str(path), "exec"), variables)  # noqa: S102 - our own text
    finally:
        recording = recorder.finish()
        linecache.clearcache()
    assert not recording.broken
