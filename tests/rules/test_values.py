"""Values: GA501 and GA502 beside their healthy twins."""

from __future__ import annotations

import pytest

from gradaudit.model import events as ev
from gradaudit.model.findings import Span

from .story import Story, at, brief

NET = ("a", "b")


def trained(*names: str) -> Story:
    story = Story(*names)
    story.optimizer("optimizer", *names)
    return story


def iteration(
    story: Story,
    *names: str,
    zero: tuple[str, ...] = (),
    nonfinite: tuple[str, ...] = (),
    step: bool = True,
) -> None:
    story.zero(*names)
    story.backward(*names)
    if step:
        story.step()
        story.sampled(zero, nonfinite)


# -- GA501 nonfinite-gradient --------------------------------------------------------------------


def broken(story: Story, *names: str, since: int = 2, until: int = 6, seen: bool = True) -> Story:
    """From one iteration on, the gradients of some are spoilt, and from the next on all."""
    for number in range(until):
        bad = () if number < since else names if number == since else NET
        story.zero(*NET)
        story.backward(*NET)
        if bad and seen:
            story.spoilt(*bad, line="h.sqrt()" if number == since else "loss_fn(h)")
        story.step()
        story.sampled(nonfinite=bad)
    return story


def test_the_operation_that_spoilt_the_first_applied_gradient_is_named():
    finding = broken(trained(*NET), "a").finding()
    assert brief(finding) == ("GA501", "error", ("a",), "h.sqrt()")
    assert finding.iterations == Span(2, 5, 4)
    assert "since iteration 2" in finding.message
    assert [link.location.source for link in finding.related] == [
        "h.sqrt()",
        "loss.backward()",
        "optimizer.step()",
    ]


def test_what_was_not_seen_is_said_to_be_so_and_points_at_the_backward():
    finding = broken(trained(*NET), "a", "b", seen=False).finding()
    assert brief(finding) == ("GA501", "error", NET, "loss.backward()")
    assert "not seen" in finding.help


def test_a_parameter_that_held_it_itself_was_made_so_by_a_step_or_never_had_a_value():
    for since, line in ((0, "h * a"), (2, "optimizer.step()")):
        story = trained(*NET)
        for number in range(6):
            bad = NET if number >= since else ()
            story.zero(*NET)
            story.backward(*NET)
            if bad:
                story.spoilt(*NET, line="h * a", operation="mul", held_by="a")
            story.step()
            story.sampled(nonfinite=bad)
        finding = story.finding()
        assert brief(finding) == ("GA501", "error", NET, line)
        assert ("by a step" in finding.message) == (since > 0)
        assert ("torch.empty" in finding.help) == (since == 0)


def test_what_no_step_applied_is_nothing_and_explains_nothing_later():
    story = trained(*NET)
    for number in range(8):
        story.zero(*NET)
        story.backward(*NET)
        if number in (1, 5):
            story.spoilt(*NET, line="skipped()")
            continue  # a scaler, or the script itself, leaves the step out
        story.step()
        story.sampled()
    assert story.findings() == ()
    story = trained(*NET)
    for number in range(4):
        story.zero(*NET)
        story.backward(*NET)
        story.spoilt(*NET, line=f"operation_{number}()")
        if number == 2:
            story.step()
            story.sampled(nonfinite=NET)
    assert brief(story.finding())[3] == "operation_2()"


def test_divergence_that_another_rule_explains_is_not_told_again():
    story = trained("a")
    for number in range(6):
        story.backward("a")
        if number > 3:
            story.spoilt("a", finite=False)
        story.step()
        story.sampled(nonfinite=("a",) if number > 3 else ())
    assert [finding.rule for finding in story.findings()] == ["GA201"]


def test_an_update_by_hand_applies_it_too_unless_it_was_cleared_first():
    for cleared, rules in ((False, ["GA501"]), (True, [])):
        story = Story("a")
        for number in range(6):
            story.backward("a")
            if number == 3:
                story.spoilt("a")
                if cleared:
                    story.zero("a")
                    story.backward("a")
            story.update("a")
            story.zero("a")
        assert [finding.rule for finding in story.findings()] == rules


# -- GA502 zero-gradient -------------------------------------------------------------------------


def flat(kind: ev.ZeroKind, line: str | None = "h.round()", passes: int = 6) -> Story:
    story = trained(*NET)
    for _ in range(passes):
        iteration(story, *NET, zero=("a",))
        story.zeroed("a", kind=kind, line=line)
    return story


@pytest.mark.parametrize(
    ("kind", "severity"),
    [
        ("flat", "error"),
        ("one", "error"),
        ("bounded", "error"),
        ("dead", "warning"),
        ("saturated", "warning"),
        ("zeroed", "warning"),
    ],
)
def test_zeros_for_ever_are_told_at_the_operation_that_makes_them(kind, severity):
    finding = flat(kind).finding()
    assert brief(finding) == ("GA502", severity, ("a",), "h.round()")
    assert [link.location.source for link in finding.related] == [
        "h.round()",
        "loss.backward()",
        "optimizer.step()",
    ]


def test_a_dead_unit_behind_everything_is_an_error_as_nothing_is_learned():
    story = trained(*NET)
    for _ in range(6):
        iteration(story, *NET, zero=NET)
        story.zeroed(*NET, kind="dead", line="torch.relu(h)")
    assert brief(story.finding()) == ("GA502", "error", NET, "torch.relu(h)")


@pytest.mark.parametrize("kind", ["other", "satisfied"])
def test_zeros_of_other_kinds_are_healthy(kind):
    assert flat(kind).findings() == ()


def test_an_operation_without_a_line_is_not_accused():
    assert flat("flat", line=None).findings() == ()


def test_two_steps_are_too_few_and_four_for_what_may_yet_wake_up():
    assert flat("flat", passes=2).findings() == ()
    assert flat("flat", passes=3).findings() != ()
    assert flat("dead", passes=4).findings() == ()


def test_a_factor_of_zero_that_is_written_there_is_meant():
    assert flat("zeroed", line="loss + 0.0 * extra.sum()").findings() == ()
    assert flat("zeroed", line="loss + 10 * extra.sum() * ramp").findings() != ()


@pytest.mark.parametrize("alive", [0, 5, 9])
def test_one_gradient_that_is_not_zero_is_enough(alive):
    story = trained(*NET)
    for number in range(10):
        iteration(story, *NET, zero=() if number == alive else ("a",))
        if number != alive:
            story.zeroed("a", kind="flat")
    assert story.findings() == ()


def test_zeros_that_were_not_looked_at_to_the_end_prove_nothing():
    story = flat("flat")
    for _ in range(20):
        story.zero(*NET)
        story.backward(*NET)
        story.step()
    assert story.findings() == ()


def test_zeros_that_also_cancel_somewhere_are_not_told():
    story = flat("flat")
    story.zeroed("a", kind="other", line="h.sum()")
    assert story.findings() == ()


def test_experts_take_turns():
    experts = ("moe.experts.0.w", "moe.experts.1.w")
    story = trained(*experts)
    for _ in range(6):
        iteration(story, *experts, zero=experts[1:])
        story.zeroed(experts[1], kind="zeroed", line="gate * out")
    assert story.findings() == ()


def test_layers_do_not():
    layers = ("net.0.w", "net.2.w")
    story = trained(*layers)
    for _ in range(6):
        iteration(story, *layers, zero=layers[:1])
        story.zeroed(layers[0], kind="dead", line="torch.relu(h)")
    assert brief(story.finding()) == ("GA502", "warning", layers[:1], "torch.relu(h)")


def test_what_no_optimizer_steps_is_not_told():
    story = Story("a")
    for _ in range(6):
        story.backward("a")
        story.zeroed("a", kind="flat")
        story.sampled(zero=("a",))
        story.zero("a")
    assert story.findings() == ()


def test_the_report_shows_the_norms():
    story = flat("other")
    (first, second) = (story.ledger.samples[leaf].norms for leaf in (0, 1))
    assert list(first)[:2] == [(0, 0.0), (1, 0.0)]
    assert list(second)[:2] == [(0, 1.0), (1, 1.0)]
    assert at("h.round()").location.line > 0
