from __future__ import annotations

import pytest

from .story import Story, at


def story_of(*leaves: int) -> Story:
    story = Story(*leaves)
    story.optimizer(0, *leaves)
    return story


@pytest.mark.parametrize("order", ["zbs", "bsz", "bs", "szb"])
def test_each_pass_of_a_plain_loop_is_an_iteration(order: str):
    story = story_of(0)
    does = {"z": lambda: story.zero(0), "b": lambda: story.backward(0), "s": story.step}
    for _ in range(7):
        for letter in order:
            does[letter]()
    assert story.end().iterations == 7


def test_a_window_of_accumulation_is_one_iteration():
    story = story_of(0)
    for _ in range(5):
        story.zero(0)
        for _ in range(4):
            story.backward(0)
        story.step()
    assert story.end().iterations == 5
    assert story.timeline(0) == [(0, 4, "accumulated", 4)]


def gan() -> Story:
    story = Story(0, 1)
    story.optimizer(0, 0)
    story.optimizer(1, 1)
    return story


def critic(story: Story) -> None:
    story.zero(0, line="zero d")
    story.backward(0, line="backward d")
    story.step(0, "step d")


def generator(story: Story) -> None:
    story.zero(1, line="zero g")
    story.backward(0, 1, line="backward g")
    story.step(1, "step g")


def test_the_two_steps_of_a_gan_are_one_iteration():
    story = gan()
    for _ in range(6):
        critic(story)
        generator(story)
    assert story.end().iterations == 6
    assert story.timeline(1) == [(0, 5, "fresh", 1)]


def test_a_generator_trained_now_and_then_does_not_begin_iterations():
    story = gan()
    for _ in range(3):
        for _ in range(5):
            critic(story)
        generator(story)
    assert story.end().iterations == 15
    assert story.timeline(1) == [
        (0, 3, "none", 0),
        (4, 4, "fresh", 1),
        (5, 8, "none", 0),
        (9, 9, "fresh", 1),
        (10, 13, "none", 0),
        (14, 14, "fresh", 1),
    ]


def test_the_evaluations_of_a_closure_are_one_iteration():
    story = story_of(0)
    for _ in range(3):
        for _ in range(20):
            story.zero(0)
            story.backward(0)
        story.step()
    assert story.end().iterations == 3
    assert [run[:3] for run in story.timeline(0)] == [(0, 2, "fresh")]


def test_zeroing_once_per_epoch_does_not_shift_the_iterations():
    story = story_of(0)
    for _ in range(3):
        story.zero(0)
        for _ in range(4):
            story.backward(0)
            story.step()
    ledger = story.end()
    assert ledger.iterations == 12
    assert ledger.life(0).stale.count == 9


def test_another_backward_after_the_step_belongs_to_the_iteration_until_a_key_returns():
    story = story_of(0)
    for _ in range(3):
        story.zero(0)
        story.backward(0)
        story.step()
        story.backward(0, line="monitor")
    assert story.end().iterations == 3


def test_nothing_but_leaves_is_no_iteration():
    story = story_of(0)
    assert story.end().iterations == 0
    assert story.timeline(0) == []


def test_without_any_optimizer_a_returning_backward_begins_an_iteration():
    story = Story(0)
    for _ in range(4):
        story.backward(0)
        story.zero(0, by_hand=True)
    assert story.end().iterations == 4
    assert [run[:2] for run in story.timeline(0)] == [(0, 3)]


def test_with_an_optimizer_that_has_not_stepped_yet_a_returning_backward_begins_none():
    story = story_of(0)
    for _ in range(4):
        story.backward(0)
    assert story.end().iterations == 1
    assert story.timeline(0) == [(0, 0, "unapplied", 4)]


def test_the_guess_is_taken_back_at_the_first_step():
    story = Story(0)
    for _ in range(4):
        story.backward(0)
        story.zero(0, by_hand=True)
    assert story.ledger.iterations == 4
    story.optimizer(0, 0)
    for _ in range(2):
        story.backward(0, line="train")
        story.step()
        story.zero(0, line="zero train")
    assert story.end().iterations == 2
    assert story.timeline(0)[-1][1] == 1
    assert story.timeline(0)[0][0] == 0


def test_updates_by_hand_make_iterations_as_steps_do():
    story = Story(0)
    for _ in range(5):
        story.backward(0, line="first half")
        story.backward(0, line="second half")
        story.update(0)
        story.zero(0, by_hand=True)
    assert story.end().iterations == 5
    assert story.timeline(0) == [(0, 4, "accumulated", 2)]


def test_would_begin_iteration_foretells_what_feed_does():
    story = story_of(0)
    key = ("backward", at("backward"))
    assert not story.ledger.would_begin_iteration(key)
    story.backward(0)
    assert not story.ledger.would_begin_iteration(key)
    story.step()
    assert story.ledger.would_begin_iteration(key)
    before = story.ledger.iterations
    story.backward(0)
    assert story.ledger.iterations == before + 1
