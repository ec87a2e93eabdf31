"""What is told before the end: no story may go on so that it is taken back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradaudit.rules.catalogue import RULES
from gradaudit.rules.rule import MANY, SEVERAL

from .story import Story, brief


def trained(*names: str) -> Story:
    story = Story(*names)
    story.optimizer("optimizer", *names)
    return story


def never_cleared(story: Story) -> None:
    story.backward("a")
    story.step()


def cleared_too_early(story: Story) -> None:
    story.backward("a")
    story.zero("a")
    story.step()


def clipped_too_late(story: Story) -> None:
    story.zero("a")
    story.backward("a")
    story.step()
    story.clip("a")


@pytest.mark.parametrize(
    ("iteration", "rule", "after"),
    [
        (never_cleared, "GA201", SEVERAL + 1),  # in the first one there is nothing old
        (cleared_too_early, "GA203", MANY),
        (clipped_too_late, "GA406", MANY),
    ],
)
def test_it_is_proven_when_it_was_seen_often_enough(
    iteration: Callable[[Story], None], rule: str, after: int
):
    story = trained("a")
    told = []
    for _ in range(after):
        told.append([finding.rule for finding in story.proven()])
        iteration(story)
    assert told == [[]] * after
    assert [finding.rule for finding in story.proven()] == [rule]


def test_what_is_only_ever_counted_up_outlives_any_number_of_healthy_iterations():
    story = trained("a")
    for _ in range(SEVERAL + 1):
        never_cleared(story)
    (early,) = story.proven()
    story.train("a", passes=200)
    assert brief(story.finding()) == brief(early)


@pytest.mark.parametrize("iterations", [SEVERAL, 100])
def test_what_may_still_get_its_gradient_is_not_told(iterations: int):
    story = trained("a", "b")
    story.optimizer("never", "b")
    for _ in range(iterations):
        story.zero("a", "b")
        story.backward("a")
        story.step()
    assert story.proven() == ()
    assert [finding.rule for finding in story.findings()] == ["GA101"]


def test_a_milder_verdict_is_a_doubt_and_waits_for_the_end():
    story = Story("x")
    for _ in range(100):
        story.backward("x")
        story.read("x")
    assert story.proven() == ()
    assert brief(story.finding())[:2] == ("GA201", "warning")


def test_rules_that_need_the_end_of_the_run_never_speak_before_it():
    assert {"GA101", "GA305", "GA403", "GA405"} <= {
        rule.code for rule in RULES if rule.proven_after is None
    }


ACTS: dict[str, Callable[[Story], None]] = {
    "backward a": lambda story: story.backward("a"),
    "backward a and b": lambda story: story.backward("a", "b"),
    "evaluate": lambda story: story.backward("a", "b", line="e.backward()", evaluating=True),
    "zero a": lambda story: story.zero("a"),
    "zero all": lambda story: story.zero("a", "b"),
    "zero b by hand": lambda story: story.zero("b", line="b.grad = None", by_hand=True),
    "step": lambda story: story.step(),
    "step other": lambda story: story.step("other"),
    "read": lambda story: story.read("a"),
    "clip": lambda story: story.clip("a"),
}


@given(st.lists(st.sampled_from(sorted(ACTS)), min_size=2, max_size=6), st.integers(4, 20))
def test_the_end_of_a_steady_loop_says_what_was_told(loop: list[str], passes: int):
    story = Story("a", "b")
    story.optimizer("optimizer", "a")
    story.optimizer("other", "b")
    told = set()
    for _ in range(passes):
        for act in loop:
            ACTS[act](story)
        told |= {place(finding) for finding in story.proven()}
    assert told <= {place(finding) for finding in story.findings()}


def place(finding) -> tuple[str, str, object]:
    return finding.rule, finding.severity, finding.location
