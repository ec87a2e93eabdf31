"""What is known of a call from a place before: nothing else is told than if nobody remembered."""

from __future__ import annotations

import itertools
import linecache
import sys
from types import FrameType

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gradaudit.model.run import Limits
from gradaudit.observe import probe
from gradaudit.observe.doors.routine import Routine, Routines
from gradaudit.observe.recorder import Recorder


def caller() -> FrameType:
    return sys._getframe(1)


def through_library() -> FrameType:
    return caller()


def test_a_place_is_where_all_frames_stand():
    def one() -> FrameType:
        return through_library()

    def other() -> FrameType:
        return through_library()

    frames = [make() for make in (one, one, other) for _ in range(1)]
    routine = Routine(frames[0], frames[0].f_back, "usual")
    assert [routine.again(frame) for frame in frames] == [True, True, False]
    assert not routine.again(frames[0].f_back)
    assert not routine.again(None)


def test_what_came_behind_the_last_time_is_expected():
    routines: Routines[str] = Routines()
    frame = caller()
    for usual in ("first", "second", "first", "third", "first"):
        routines.learn(frame, frame, sys.intern(usual))
    assert routines.latest.usual == "first"
    assert routines.latest.next.usual == "third"
    assert routines.latest.next.next is routines.latest
    routines.forget()
    assert routines.latest is None


# -- loops, with what is remembered and without ----------------------------------------------------

HEAD = """\
import torch
model = torch.nn.ParameterList([torch.zeros(()) for _ in range(3)])
a, b, c = model
one, two = torch.optim.SGD([a, b], lr=0.1), torch.optim.SGD([c], lr=0.1)
for iteration in range(14):
"""

STATEMENTS = (
    "one.zero_grad()",
    "two.zero_grad()",
    "model.zero_grad()",
    "one.zero_grad(set_to_none=False)",
    "(a + b).square().backward()",
    "(b * b + c).backward()",
    "loss = c.sin(); loss.backward(retain_graph=True); loss.backward()",
    "for part in (1, 2, 3): (part * a).backward()",
    "one.step()",
    "two.step()",
    "one.step(lambda: (a * 2).backward())",
    "c.grad = None",
    "None if a.grad is None else a.grad.mul_(2)",
    "b.requires_grad_(not b.requires_grad)",
    "late = torch.nn.Parameter(torch.zeros(())); one.add_param_group({'params': [late]})",
    "model.eval() if model.training else model.train()",
    "with torch.no_grad(): one.step()",
)

#: Which statement, and in which iterations: all of them, or those that a mask of bits names.
lines = st.tuples(
    st.sampled_from(STATEMENTS), st.one_of(st.none(), st.integers(1, 2**14 - 1).map(int))
)

numbers = itertools.count()


def told(text: str, path: str) -> list[object]:
    """What the ledger is told when a script runs that is probed for an iteration only."""
    events: list[object] = []
    recorder = Recorder(Limits(), main_file=path)
    feed = recorder.ledger.feed

    def noted(event: object) -> None:
        if type(event).__name__ != "Sampled":  # the clock decides when samples are taken
            site = getattr(event, "site", None)
            members = [
                sorted(value)
                for name in ("members", "targets", "deposited", "present", "missing")
                for value in (getattr(event, name, ()),)
            ]
            line = site and site.location.line
            traits = [getattr(event, name, None) for name in ("evaluating", "closure", "failed")]
            events.append((type(event).__name__, line, members, traits))
        feed(event)

    recorder.ledger.feed = noted
    recorder.install()
    try:
        exec(compile(text, path, "exec"), {"__name__": "program"})  # noqa: S102 - our own text
    finally:
        recording = recorder.finish()
        linecache.clearcache()
    assert not recording.broken
    return [*events, recording.ledger.iterations]


#: The same step from two points, with something done by hand behind one of them.
BY_TURNS = [
    ("one.zero_grad()", None),
    ("(a + b).square().backward()", None),
    ("two.zero_grad()", 0b10110110110110),
    ("None if a.grad is None else a.grad.mul_(2)", 0b10110110110110),
    ("one.step()", None),
]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(lines, min_size=2, max_size=8))
@example(BY_TURNS)
def test_nothing_else_is_told_of_a_loop(tmp_path, program):
    text = HEAD + "".join(
        f"    if {'True' if mask is None else f'{mask} >> iteration & 1'}:\n        {statement}\n"
        for statement, mask in program
    )
    path = tmp_path / f"loop_{next(numbers)}.py"
    path.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "PROBE_SECONDS", 0.0)
        patch.setattr(probe, "PROBE_ITERATIONS", 1)
        remembered = told(text, str(path))
        patch.setattr(Routines, "learn", lambda *_: None)
        assert told(text, str(path)) == remembered
