"""Models of thousands of parameters: twice as many take about twice as long to judge."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from gradaudit.model import events as ev

from .story import Story, at

FEW, MANY = 60, 120


def alike(count: int) -> tuple[Story, list[str], list[str]]:
    """Two networks of layers that are alike, each with its optimizer."""
    one = [f"one.{number}.weight" for number in range(count)]
    other = [f"other.{number}.weight" for number in range(count)]
    story = Story(*one, *other)
    story.optimizer("first", *one)
    story.optimizer("second", *other)
    return story, one, other


def unused(count: int) -> Story:
    story, one, other = alike(count)
    for _ in range(6):
        story.zero(*one, *other)
        story.backward(*other)
        story.step("first")
        story.step("second")
    return story


def without_backward(count: int) -> Story:
    story = unused(count)
    names = (f"one.{number}.weight" for number in range(count))
    story.ledger.feed(ev.LossLeft(at("loss = criterion(one)"), story.of(*names), shown=False))
    return story


def ended(count: int) -> Story:
    story, one, other = alike(count)
    for number in range(20):
        story.zero(*one, *other)
        story.backward(*(one if number < 10 else ()), *other)
        story.step("first")
        story.step("second")
    return story


def wiped(count: int) -> Story:
    story, one, other = alike(count)
    for _ in range(8):
        for _ in range(2):
            story.zero(*one)
            story.backward(*one, *other)
        story.step("first")
    return story


def calls(tell: Callable[[int], Story], count: int) -> tuple[int, set[str]]:
    """How many functions the rules call, and what they find."""
    story, called = tell(count), 0

    def counted(frame: FrameType, event: str, argument: object) -> None:
        nonlocal called
        del frame, argument
        called += event == "call"

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        findings = story.findings()
    finally:
        sys.setprofile(before)
    return called, {finding.rule for finding in findings}


@pytest.mark.parametrize(
    ("tell", "rules"),
    [
        (unused, {"GA101"}),
        (without_backward, {"GA105"}),
        (ended, {"GA404"}),
        (wiped, {"GA204", "GA405"}),
    ],
)
def test_what_is_asked_of_each_parameter_does_not_depend_on_how_many_there_are(tell, rules):
    few, found = calls(tell, FEW)
    many, _ = calls(tell, MANY)
    assert found == rules
    assert many < 2.5 * few
