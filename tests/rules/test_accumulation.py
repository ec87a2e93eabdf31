"""What else got in before the step, and what was lost: GA202, GA204, GA301 to GA305."""

from __future__ import annotations

import pytest

from gradaudit.model import events as ev

from .story import Story, at, brief

BOTH = ("g", "d")


def gan() -> Story:
    story = Story(*BOTH)
    story.optimizer("opt_g", "g")
    story.optimizer("opt_d", "d")
    return story


def one(*more: str) -> Story:
    story = Story("a", *more)
    story.optimizer("optimizer", "a", *more)
    return story


# -- GA301 ---------------------------------------------------------------------------------------


def test_a_generators_backward_in_the_discriminators_step():
    story = gan()
    for _ in range(4):
        story.backward("g", "d", line="g_loss.backward()")
        story.step("opt_g")
        story.zero("g", line="opt_g.zero_grad()")
        story.backward("d", line="d_loss.backward()")
        story.step("opt_d")
        story.zero("d", line="opt_d.zero_grad()")
    finding = story.finding()
    assert brief(finding) == ("GA301", "error", ("d",), "g_loss.backward()")
    assert [link.location.source for link in finding.related] == [
        "g_loss.backward()",
        "opt_g.step()",
        "d_loss.backward()",
        "opt_d.step()",
        "opt_d.zero_grad()",
    ]


def test_what_is_cleared_before_its_own_turn_is_nothing():
    story = gan()
    for _ in range(4):
        story.backward("g", "d", line="g_loss.backward()")
        story.step("opt_g")
        story.zero(*BOTH)
        story.backward("d", line="d_loss.backward()")
        story.step("opt_d")
    assert story.findings() == ()


def test_two_losses_before_both_steps_belong_together():
    story = gan()
    for _ in range(4):
        story.zero(*BOTH)
        story.backward("g", "d", line="g_loss.backward()")
        story.backward("d", line="d_loss.backward()")
        story.step("opt_g")
        story.step("opt_d")
    assert story.findings() == ()


def test_a_window_of_one_loss_across_the_steps_of_another_optimizer_is_fine():
    story = gan()
    for number in range(8):
        story.zero("g", line="opt_g.zero_grad()")
        story.backward("g", "d")
        story.step("opt_g")
        if number % 4 == 3:
            story.step("opt_d")
            story.zero("d", line="opt_d.zero_grad()")
    assert story.findings() == ()


@pytest.mark.parametrize(("before", "found"), [(True, []), (False, ["GA301"])])
def test_one_function_for_the_updates_of_two_networks(before: bool, found: list[str]):
    story = Story("generator", "critic")
    story.optimizer("opt_G", "generator")
    story.optimizer("opt_D", "critic")
    reached = {"opt_D": ("critic",), "opt_G": ("critic", "generator")}
    owned = {"opt_D": "critic", "opt_G": "generator"}
    for _ in range(4):
        for name in ("opt_D", "opt_G"):
            if before:
                story.zero(owned[name])
            story.backward(*reached[name])
            story.step(name)
            if not before:
                story.zero(owned[name])
    findings = story.findings()
    assert [finding.rule for finding in findings] == found
    assert all(finding.parameters == ("critic",) for finding in findings)


@pytest.mark.parametrize("slow_first", [True, False])
def test_an_optimizer_of_a_slower_pace_is_fine(slow_first: bool):
    story = Story("table", "net")
    story.optimizer("slow", "table")
    story.optimizer("fast", "net")
    for step in range(40):
        story.backward("table", "net")
        names = ["fast", "slow"] if step % 5 == 4 else ["fast"]
        for name in reversed(names) if slow_first else names:
            story.step(name)
            story.zero("table" if name == "slow" else "net")
    assert story.findings() == ()


@pytest.mark.parametrize("waited", [3, 12])
def test_what_heaps_up_until_a_later_phase_begins(waited: int):
    story = Story("body", "head")
    story.optimizer("warm_up", "head")
    for _ in range(waited):
        story.backward("body", "head")
        story.step("warm_up")
        story.zero("head")
    story.optimizer("all", "body", "head")
    for _ in range(10):
        story.backward("body", "head")
        story.step("all")
        story.zero("body", "head")
    found = [(finding.rule, finding.severity, finding.parameters) for finding in story.findings()]
    assert found == ([("GA301", "warning", ("body",))] if waited > 4 else [])


# -- GA302 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["val_loss.backward()", "loss.backward()"])
def test_an_evaluations_backward_in_a_training_step(line):
    story = one()
    for _ in range(4):
        story.backward("a")
        story.step()
        story.zero("a")
        story.backward("a", line=line, evaluating=True)
    story.zero("a")
    assert brief(story.finding()) == ("GA302", "error", ("a",), line)


def evaluated_before_the_step(in_iterations: range, line: str = "val_loss.backward()") -> Story:
    """A backward in eval mode comes behind the training backward, in some of the iterations."""
    story = one()
    for number in range(12):
        story.zero("a")
        story.backward("a")
        story.read("a")  # the norm of the training gradient, say
        if number in in_iterations:
            story.backward("a", line=line, evaluating=True)
        story.step()
    return story


def test_an_evaluations_backward_behind_the_training_backward():
    finding = evaluated_before_the_step(range(0, 12, 3)).finding()
    assert brief(finding) == ("GA302", "warning", ("a",), "val_loss.backward()")
    assert [link.location.source for link in finding.related] == [
        "loss.backward()",
        "val_loss.backward()",
        "optimizer.step()",
        "optimizer.zero_grad()",
    ]


@pytest.mark.parametrize("in_iterations", [range(12), range(8, 12)])
def test_a_second_loss_in_eval_mode_is_fine_from_whenever_on(in_iterations):
    assert evaluated_before_the_step(in_iterations).findings() == ()


def test_what_comes_now_and_then_may_be_a_second_loss_where_no_name_speaks_of_an_evaluation():
    finding = evaluated_before_the_step(range(0, 12, 3), "penalty.backward()").finding()
    assert brief(finding) == ("GA302", "note", ("a",), "penalty.backward()")


def test_a_saliency_map_behind_every_training_backward():
    story = one()
    story.born("x", kind="tensor")
    for _ in range(4):
        story.zero("a", "x")
        story.backward("a")
        story.backward("a", "x", line="score.backward()", evaluating=True)
        story.read("x")
        story.step()
    assert brief(story.finding()) == ("GA302", "error", ("a",), "score.backward()")


@pytest.mark.parametrize("line", ["val_loss.backward()", "loss.backward()"])
def test_an_evaluations_backward_does_not_hide_that_nothing_is_ever_cleared(line):
    story = one()
    for number in range(8):
        story.backward("a")
        story.step()
        if number == 3:
            story.backward("a", line=line, evaluating=True)
    assert brief(story.finding()) == ("GA201", "error", ("a",), "loss.backward()")


def test_an_evaluation_explains_the_parameters_that_are_cleared_and_no_others():
    story = one("b")
    for number in range(8):
        story.zero("a")
        if number == 3:
            story.backward("a", "b", line="val_loss.backward()", evaluating=True)
        story.backward("a", "b")
        story.step()
    assert [brief(finding) for finding in story.findings()] == [
        ("GA202", "error", ("b",), "optimizer.zero_grad()"),
        ("GA302", "error", ("a",), "val_loss.backward()"),
    ]


def test_a_monitor_does_not_hide_that_nothing_is_ever_cleared():
    story = one()
    for number in range(9):
        if number in (3, 6):
            story.backward("a", line="monitor.backward()")
            story.read("a")
        story.backward("a")
        story.step()
    assert brief(story.finding()) == ("GA201", "error", ("a",), "loss.backward()")


def test_training_in_eval_mode_is_fine():
    story = one()
    for _ in range(4):
        story.zero("a")
        story.backward("a", evaluating=True)
        story.backward("a", line="other.backward()", evaluating=True)
        story.step()
    assert story.findings() == ()


# -- GA303 ---------------------------------------------------------------------------------------


def test_the_same_root_twice_points_at_the_second():
    story = one()
    for _ in range(3):
        story.zero("a")
        story.backward("a")
        story.backward("a", line="loss.backward() # again", again=at("loss.backward()"))
        story.step()
    assert brief(story.finding()) == ("GA303", "error", ("a",), "loss.backward() # again")


@pytest.mark.parametrize("part", [False, True])
def test_a_part_of_the_loss_with_a_backward_of_its_own_points_at_that(part):
    story = one("b")
    for number in range(3):
        story.zero("a", "b")
        story.backward("a", "b", line="part.backward()")
        story.read("a")
        story.backward("a", "b", line="total.backward()")
        if part and not number:
            story.ledger.feed(ev.PartBefore(at("total.backward()"), at("part.backward()")))
        story.step()
    expected = ("GA303", "error", ("a", "b"), "part.backward()")
    assert [brief(finding) for finding in story.findings()] == [expected] * part


@pytest.mark.parametrize("cleared", [False, True])
def test_an_attack_whose_gradients_stay_in_the_model_is_a_warning(cleared):
    story = one()
    story.born("x", kind="tensor")
    for _ in range(3):
        story.zero("a", "x")
        story.backward("a", "x", line="attack.backward()")
        story.read("x")
        if cleared:
            story.zero("a")
        story.backward("a")
        story.step()
    expected = [] if cleared else [("GA303", "warning", ("a",), "attack.backward()")]
    assert [brief(finding) for finding in story.findings()] == expected


def test_a_look_at_the_gradients_now_and_then_is_a_warning_and_at_every_step_is_none():
    for period, count in ((3, 1), (1, 0)):
        story = one()
        for number in range(9):
            story.zero("a")
            if number % period == 0:
                story.backward("a", line="monitor.backward()")
                story.read("a")
            story.backward("a")
            story.step()
        assert [finding.rule for finding in story.findings()] == ["GA303"] * count


# -- GA202, GA204 --------------------------------------------------------------------------------


def test_windows_that_are_wiped_are_an_error_at_the_clearing():
    story = one()
    for number in range(12):
        story.zero("a")
        story.backward("a")
        if number % 4 == 3:
            story.step()
    assert brief(story.finding()) == ("GA204", "error", ("a",), "optimizer.zero_grad()")


def test_gradients_that_are_taken_out_before_the_clearing_are_not_lost():
    story = one()
    for _ in range(4):
        for _ in range(3):
            story.zero("a")
            story.backward("a")
            story.read("a")
        story.step()
    assert story.findings() == ()


# -- GA304, GA305 --------------------------------------------------------------------------------


def test_a_fixed_network_that_is_not_frozen_accumulates_without_end():
    story = one()
    story.born("fixed", evaluating=True)
    for _ in range(6):
        story.zero("a")
        story.backward("a", "fixed")
        story.step()
    assert brief(story.finding()) == ("GA304", "warning", ("fixed",), "loss.backward()")


def test_a_perturbation_of_which_only_the_beginning_was_seen_is_no_such_thing():
    story = one()
    story.born("delta", kind="tensor", alive=False)
    for number in range(9):
        story.zero("a")
        story.backward("a", *(["delta"] if number < 5 else []))
        story.step()
    assert story.findings() == ()


@pytest.mark.parametrize(("count", "notes"), [(12, []), (14, ["GA305"])])
def test_a_last_window_that_is_not_applied_is_a_note(count, notes):
    story = one()
    for number in range(count):
        story.backward("a")
        if number % 4 == 3:
            story.step()
            story.zero("a")
    assert [(finding.rule, finding.severity) for finding in story.findings()] == [
        (rule, "note") for rule in notes
    ]


@pytest.mark.parametrize(("wiped", "notes"), [(4, []), (3, ["GA305"])])
def test_a_whole_window_whose_step_was_skipped_is_no_rest(wiped, notes):
    story = one()
    for number in range(8):
        for _ in range(wiped if number == 3 else 4):
            story.backward("a")
        if number != 3:
            story.step()
        story.zero("a")
    findings = story.findings()
    assert [finding.rule for finding in findings] == notes
    assert all(finding.message.startswith("3 backwards of 1 parameter") for finding in findings)
