"""Clearing: GA201 and GA203 beside their healthy twins."""

from __future__ import annotations

import pytest

from gradaudit.model import events as ev
from gradaudit.model.findings import Span

from .story import Story, at, brief


def trained(*names: str) -> Story:
    story = Story(*names)
    story.optimizer("optimizer", *names)
    return story


# -- GA201 missing-zero-grad ---------------------------------------------------------------------


def test_a_loop_that_never_clears_points_at_the_backward():
    story = trained("a", "b")
    for _ in range(5):
        story.backward("a", "b")
        story.step()
    finding = story.finding()
    assert brief(finding) == ("GA201", "error", ("a", "b"), "loss.backward()")
    assert finding.iterations == Span(1, 4, 4)
    assert [link.location.source for link in finding.related] == [
        "loss.backward()",
        "optimizer.step()",
    ]


def test_the_parameter_that_the_clearing_misses_is_the_one_reported():
    story = trained("a", "b")
    for _ in range(4):
        story.zero("a")
        story.backward("a", "b")
        story.step()
    assert brief(story.finding())[:3] == ("GA202", "error", ("b",))


def test_updates_by_hand_without_clearing_are_reported_at_the_backward():
    story = Story("w")
    for _ in range(3):
        story.backward("w")
        story.update("w")
    finding = story.finding()
    assert brief(finding) == ("GA201", "error", ("w",), "loss.backward()")
    assert "w -= w.grad" in [link.location.source for link in finding.related]


def test_two_steps_of_which_one_was_stale_are_enough_and_one_of_many_is_not():
    for healthy, rules in ((0, ["GA201"]), (6, [])):
        story = trained("a")
        for _ in range(2):
            story.backward("a")
            story.step()
        for _ in range(healthy):
            story.zero("a")
            story.backward("a")
            story.step()
        assert [finding.rule for finding in story.findings()] == rules


def test_reading_sums_of_what_nothing_updates_is_a_warning():
    story = Story()
    story.born("x", kind="tensor")
    for _ in range(3):
        story.backward("x")
        story.read("x")
    assert brief(story.finding()) == ("GA201", "warning", ("x",), "loss.backward()")


@pytest.mark.parametrize("window", [1, 2, 8])
def test_accumulation_with_a_clearing_after_each_step_is_fine(window: int):
    story = trained("a")
    for _ in range(4):
        for _ in range(window):
            story.backward("a")
        story.step()
        story.zero("a")
    assert story.findings() == ()


def test_a_gradient_that_is_decayed_by_hand_is_fine():
    story = trained("a")
    for _ in range(4):
        story.backward("a")
        story.step()
        story.ledger.feed(ev.Rescaled(at("p.grad *= 0.9"), story.of("a")))
    assert story.findings() == ()


@pytest.mark.parametrize(("filling", "expected"), [(True, []), (False, ["GA203"])])
def test_what_is_added_to_a_gradient_of_zeros_by_hand_is_applied(filling, expected):
    story = trained("a")
    for _ in range(4):
        story.backward("a")
        story.zero("a")
        story.ledger.feed(ev.Rescaled(at("p.grad.add_(d)"), story.of("a"), filling=filling))
        story.step()
    assert [finding.rule for finding in story.findings()] == expected


def test_a_foreign_contribution_that_is_cleared_is_nothing():
    story = trained("a")
    for _ in range(4):
        story.zero("a")
        story.backward("a")
        story.step()
        story.backward("a", line="monitor.backward()")
        story.read("a")
    assert story.findings() == ()


def test_alternating_optimizers_that_clear_their_own_are_fine():
    story = Story("d", "g")
    story.optimizer("optimizer", "d")
    story.optimizer("generator", "g")
    for _ in range(4):
        story.zero("d")
        story.backward("d", line="loss_d.backward()")
        story.step("optimizer")
        story.zero("g", line="generator.zero_grad()")
        story.backward("d", "g", line="loss_g.backward()")
        story.step("generator")
    assert story.findings() == ()


# -- GA203 zero-before-step ----------------------------------------------------------------------


def test_clearing_between_backward_and_step_points_at_the_clearing():
    story = trained("a", "b")
    for _ in range(4):
        story.backward("a", "b")
        story.zero("a", "b")
        story.step()
    finding = story.finding()
    assert brief(finding) == ("GA203", "error", ("a", "b"), "optimizer.zero_grad()")
    assert finding.iterations == Span(0, 3, 4)
    assert [link.location.source for link in finding.related] == [
        "loss.backward()",
        "optimizer.zero_grad()",
        "optimizer.step()",
    ]


def test_clearing_a_part_for_good_with_zero_grad_is_reported_for_that_part():
    story = trained("a", "b")
    for _ in range(4):
        story.zero("a", "b", line="first zero")
        story.backward("a", "b")
        story.zero("b", line="b.zero_grad()")
        story.step()
    assert brief(story.finding()) == ("GA203", "error", ("b",), "b.zero_grad()")


@pytest.mark.parametrize("epochs", [3, 4])
def test_clearing_a_part_by_hand_is_on_purpose_and_a_note_if_that_was_all(epochs: int):
    story = trained("a", "b")
    for epoch in range(4):
        story.zero("a", "b")
        story.backward("a", "b")
        if epoch < epochs:
            story.zero("b", line="last.grad = None", by_hand=True)
        story.step()
    note = ("GA203", "note", ("b",), "last.grad = None")
    assert [brief(finding) for finding in story.findings()] == [note] * (epochs == 4)


def test_clearing_everything_by_hand_is_not():
    story = trained("a")
    for _ in range(4):
        story.backward("a")
        story.zero("a", line="p.grad = None", by_hand=True)
        story.step()
    assert brief(story.finding()) == ("GA203", "error", ("a",), "p.grad = None")


@pytest.mark.parametrize("order", ["zbs", "bsz"])
def test_clearing_anywhere_else_is_a_matter_of_taste(order: str):
    story = trained("a")
    does = {"z": lambda: story.zero("a"), "b": lambda: story.backward("a"), "s": story.step}
    for _ in range(4):
        for letter in order:
            does[letter]()
    assert story.findings() == ()


def test_the_evaluations_of_a_closure_are_fine():
    story = trained("a")
    for _ in range(3):
        for _ in range(20):
            story.zero("a")
            story.backward("a", closure=True)
        story.step()
    assert story.findings() == ()


def test_evaluations_of_a_closure_that_add_to_each_other_are_not():
    story = trained("a")
    for _ in range(3):
        story.zero("a")
        for _ in range(4):
            story.evaluated("a")
            story.backward("a", closure=True)
        story.step()
    finding = story.finding()
    assert brief(finding) == ("GA201", "error", ("a",), "loss.backward()")
    assert "closure" in finding.help


def test_what_a_closure_backpropagates_in_parts_is_fine():
    story = trained("a")
    for _ in range(3):
        for _ in range(4):
            story.zero("a")
            story.evaluated("a")
            for _ in range(5):
                story.backward("a", closure=True)
        story.step()
    assert story.findings() == ()


@pytest.mark.parametrize(("cleared_every", "found"), [(2, ["GA204"]), (4, [])])
def test_a_window_that_is_cleared_half_way(cleared_every: int, found: list[str]):
    story = trained("a")
    for index in range(1, 33):
        story.backward("a")
        if index % 4 == 0:
            story.step()
        if index % cleared_every == 0:
            story.zero("a")
    assert [finding.rule for finding in story.findings()] == found


def test_a_batch_that_is_skipped_now_and_then_is_fine():
    story = trained("a")
    for iteration in range(9):
        story.zero("a")
        story.backward("a")
        if iteration % 3 == 0:
            story.zero("a", line="skip: optimizer.zero_grad()")
        story.step()
    assert story.findings() == ()
