"""Optimizers: GA401 to GA407, each beside its healthy twins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradaudit.model import events as ev
from gradaudit.rules.case import Case
from gradaudit.rules.judge import judge

from .story import Story, at, brief


def test_what_receives_gradients_and_is_in_no_optimizer_points_at_the_construction():
    story = Story("net", "criterion")
    story.optimizer("optimizer", "net")
    story.train("net", "criterion")
    assert brief(story.finding()) == ("GA401", "warning", ("criterion",), "optimizer = SGD()")


def test_what_escaped_registration_is_an_error_at_the_line_where_it_did():
    story = Story("net.head")
    story.born("net.layers[0].weight", escaped=at("self.layers = [Linear()]"), evaluating=True)
    story.optimizer("optimizer", "net.head")
    story.train("net.head", "net.layers[0].weight")
    finding = story.finding()
    assert brief(finding) == (
        "GA401",
        "error",
        ("net.layers[0].weight",),
        "self.layers = [Linear()]",
    )
    assert "nn.ModuleList" in finding.help
    assert [link.location.source for link in finding.related] == [
        "self.layers = [Linear()]",
        "optimizer = SGD()",
        "loss.backward()",
    ]


@pytest.mark.parametrize("blind", [None, "the dataflow failed"])
def test_what_may_have_been_updated_unseen_is_not_said_to_lack_an_optimizer(blind):
    story = Story("net", "criterion")
    story.born("w", kind="tensor")
    story.optimizer("optimizer", "net")
    story.train("net", "criterion", "w")
    findings = judge(Case(replace(story.recording(), blind=blind)))
    (accused,) = [finding.parameters for finding in findings if finding.rule == "GA401"]
    assert accused == (("criterion",) if blind else ("criterion", "w"))


def test_a_parameter_that_is_updated_by_hand_is_fine():
    story = Story("net", "ema")
    story.optimizer("optimizer", "net")
    for _ in range(3):
        story.zero("net", "ema")
        story.backward("net", "ema")
        story.step()
        story.update("ema")
    assert story.findings() == ()


def test_a_network_in_eval_mode_is_fine():
    story = Story("net")
    story.born("perceptual", evaluating=True)
    story.optimizer("optimizer", "net")
    story.train("net", "perceptual")
    assert story.findings() == ()


@pytest.mark.parametrize(("differentiated", "expected"), [(True, []), (False, ["GA401"])])
def test_points_that_the_script_differentiates_by_are_not_to_be_trained(differentiated, expected):
    story = Story("net")
    story.born("points", kind="tensor", differentiated=differentiated)
    story.optimizer("optimizer", "net")
    for _ in range(4):
        story.zero("net")
        story.backward("net", "points")
        story.step()
    assert [finding.rule for finding in story.findings()] == expected


def test_an_input_that_is_attacked_is_fine():
    story = Story("net")
    story.born("x", kind="tensor")
    story.optimizer("optimizer", "net")
    for _ in range(3):
        story.zero("net", "x")
        story.backward("net", "x")
        story.read("x")
        story.step()
    assert story.findings() == ()


def test_the_networks_that_lead_to_an_optimised_input_are_fine():
    story = Story("net")
    story.born("image", kind="tensor")
    story.optimizer("optimizer", "image")
    story.train("net", "image")
    assert story.findings() == ()


def test_a_script_without_any_optimizer_is_fine():
    story = Story("net")
    for _ in range(3):
        story.backward("net")
    assert story.findings() == ()


def test_a_parameter_whose_gradient_is_read_is_what_the_script_is_after():
    story = Story("net", "probe")
    story.optimizer("optimizer", "net")
    for _ in range(3):
        story.zero("net", "probe")
        story.backward("net", "probe")
        story.read("probe")
        story.step()
    assert story.findings() == ()


# -- GA402 ---------------------------------------------------------------------------------------


def replaced(*, optimised: bool = False) -> Story:
    story = Story("body", "old")
    story.optimizer("optimizer", "body", "old")
    story.born("fc", created=at("model.fc = nn.Linear(8, 3)"))
    (old,), (new,) = story.of("old"), story.of("fc")
    story.ledger.feed(ev.Replaced(at("model.fc = nn.Linear(8, 3)"), old, new))
    if optimised:
        story.optimizer("second", "fc")
    for _ in range(4):
        story.zero("body", "old", "fc")
        story.backward("body", "fc")
        story.step()
        if optimised:
            story.step("second")
    return story


def test_a_replaced_head_points_at_the_line_that_replaced_it():
    finding = replaced().finding()
    assert brief(finding) == ("GA402", "error", ("fc",), "model.fc = nn.Linear(8, 3)")


def test_a_replaced_head_that_some_optimizer_has_is_no_stale_optimizer():
    assert "GA402" not in [finding.rule for finding in replaced(optimised=True).findings()]


def test_an_optimizer_that_is_left_behind_with_its_model_is_not_stale():
    story = Story("old")
    story.optimizer("first", "old")
    story.born("new", created=at("model = build()"))
    story.born("other")
    story.optimizer("second", "other")
    (old,), (new,) = story.of("old"), story.of("new")
    story.ledger.feed(ev.Replaced(at("model = build()"), old, new))
    for _ in range(4):
        story.zero("old")
        story.backward("old")
        story.step("first")
    for _ in range(4):
        story.zero("other")
        story.backward("new", "other")
        story.step("second")
    assert "GA402" not in [finding.rule for finding in story.findings()]


# -- GA403 to GA405 ------------------------------------------------------------------------------


@pytest.mark.parametrize("made_up_for", [False, True])
def test_a_step_before_the_backward_is_one_iteration_late(made_up_for):
    story = Story("a")
    story.optimizer("optimizer", "a")
    for _ in range(5):
        story.step()
        story.zero("a")
        story.backward("a")
    if made_up_for:
        story.step()
        story.zero("a")
    expected = [] if made_up_for else [("GA403", "error", ("a",), "optimizer.step()")]
    assert [brief(finding) for finding in story.findings()] == expected


@pytest.mark.parametrize("began_empty", [False, True])
def test_in_a_run_that_was_stopped_it_is_a_warning(began_empty):
    story = Story("a")
    story.optimizer("optimizer", "a")
    for index in range(5):
        if began_empty or index:
            story.step()
            story.zero("a")
        story.backward("a")
    found = judge(Case(story.recording(), complete=False, cut_short=True))
    expected = [("GA403", "warning", ("a",), "optimizer.step()")] if began_empty else []
    assert [brief(finding) for finding in found] == expected
    assert judge(Case(story.recording(), complete=False)) == ()  # it failed, or is not over


def test_a_place_that_steps_in_vain_is_told_and_one_empty_step_is_not():
    for empty in (1, 3):
        story = Story("a")
        story.optimizer("optimizer", "a")
        for _ in range(4):
            story.zero("a")
            story.backward("a")
            story.step()
        story.zero("a")
        for _ in range(empty):
            number = frozenset({0})
            story.ledger.feed(ev.Stepped(at("validate: step"), 0, frozenset(), number))
        told = [(f.rule, f.severity) for f in story.findings()]
        assert told == ([("GA404", "warning")] if empty > 1 else [])


def test_an_optimizer_that_is_never_stepped():
    story = Story("a")
    story.optimizer("optimizer", "a")
    for _ in range(4):
        story.zero("a")
        story.backward("a")
    assert brief(story.finding()) == ("GA405", "error", ("a",), "optimizer = SGD()")


# -- GA406, GA407 --------------------------------------------------------------------------------


@pytest.mark.parametrize(("late", "expected"), [(True, ["GA406"]), (False, [])])
def test_a_clip_after_the_step(late, expected):
    story = Story("a")
    story.optimizer("optimizer", "a")
    for _ in range(4):
        story.zero("a")
        story.backward("a")
        if late:
            story.step()
        story.ledger.feed(ev.Rescaled(at("clip"), story.of("a"), clipped=True))
        if not late:
            story.step()
    assert [finding.rule for finding in story.findings()] == expected


@pytest.mark.parametrize(("unscaled", "expected"), [(False, ["GA407"]), (True, [])])
def test_a_clip_with_the_scale_in_it(unscaled, expected):
    story = Story("a")
    story.optimizer("optimizer", "a")
    for _ in range(4):
        story.zero("a")
        story.backward("a", scaled=True)
        if unscaled:
            story.ledger.feed(ev.Unscaled(at("unscale"), story.of("a")))
        story.ledger.feed(ev.Rescaled(at("clip"), story.of("a"), clipped=True))
        story.step()
    assert [finding.rule for finding in story.findings()] == expected
