"""Gradients that never arrive: GA101 to GA107, each beside its healthy twins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradaudit.model import events as ev
from gradaudit.model.findings import Span
from gradaudit.rules.case import Case
from gradaudit.rules.judge import judge

from .story import Story, at, brief


def fine_tuning(*extra: str) -> Story:
    story = Story("body", "head", *extra)
    story.optimizer("optimizer", "body", "head", *extra)
    return story


# -- GA101 unused-parameter ----------------------------------------------------------------------


def test_unused_parameters_of_one_line_are_one_finding():
    story = Story("body")
    for name in ("head.weight", "head.bias"):
        story.born(name, created=at("self.head = nn.Linear(8, 1)"))
    story.optimizer("optimizer", "body", "head.weight", "head.bias")
    story.train("body")
    finding = story.finding()
    assert brief(finding) == (
        "GA101",
        "error",
        ("head.bias", "head.weight"),
        "self.head = nn.Linear(8, 1)",
    )
    assert finding.iterations == Span(0, 3, 4)
    assert [link.location.source for link in finding.related] == [
        "self.head = nn.Linear(8, 1)",
        "optimizer.step()",
    ]


def test_what_was_made_unseen_fares_like_what_was_made_at_the_same_place():
    made = at("self.body = Linear()")
    story = Story("head")
    story.born("first", created=made)
    story.born("later", created=made, unseen=True)
    story.born("other", created=at("self.other = Linear()"), unseen=True)
    story.optimizer("optimizer", "head", "first", "later", "other")
    story.entered("head", "first")
    story.severed("first", line="h = body(x).detach()")
    story.train("head")
    cut, unknown = story.findings()
    assert brief(cut) == ("GA102", "error", ("first", "later"), "h = body(x).detach()")
    assert brief(unknown) == ("GA101", "warning", ("other",), "self.other = Linear()")
    assert "why was not seen" in unknown.message


def test_an_unused_parameter_of_no_optimizer_is_fine():
    story = Story("body", "spare")
    story.optimizer("optimizer", "body")
    story.train("body")
    assert story.findings() == ()


def test_a_frozen_parameter_among_trained_ones_is_fine():
    story = Story("head")
    story.born("body", requires_grad=False)
    story.optimizer("optimizer", "body", "head")
    story.train("head")
    assert story.findings() == ()


def test_experts_that_take_turns_are_fine_even_if_one_was_never_chosen():
    story = Story("experts.0.weight", "experts.1.weight", "experts.2.weight")
    story.optimizer("optimizer", *(f"experts.{index}.weight" for index in range(3)))
    for index in (0, 1, 1, 0):
        story.train(f"experts.{index}.weight", passes=1)
    assert story.findings() == ()


def test_a_sibling_of_blocks_that_are_always_used_is_unused():
    story = Story("blocks.0.weight", "blocks.1.weight", "blocks.2.weight")
    story.optimizer("optimizer", *(f"blocks.{index}.weight" for index in range(3)))
    story.train("blocks.0.weight", "blocks.1.weight")
    assert brief(story.finding())[:3] == ("GA101", "error", ("blocks.2.weight",))


def test_a_parameter_that_joins_late_is_fine():
    story = fine_tuning()
    story.train("head", passes=3)
    story.train("body", "head", passes=1)
    assert story.findings() == ()


# -- GA102 graph-cut -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "operation"),
    [
        ("detach", "detach"),
        ("export", "item"),
        ("non-differentiable", "argmax"),
        ("blocked", "Sign"),
    ],
)
def test_a_cut_points_at_the_operation_that_cut(kind: ev.CutKind, operation: str):
    story = fine_tuning()
    story.entered("body", "head")
    story.severed("body", kind=kind, operation=operation)
    story.train("head")
    finding = story.finding()
    assert brief(finding) == ("GA102", "error", ("body",), "h.detach()")
    assert [link.location.source for link in finding.related] == [
        "h = net(x)",
        "h.detach()",
        "loss.backward()",
    ]


def test_a_cut_by_grad_mode_points_at_the_switch():
    story = fine_tuning()
    story.severed("body", kind="grad-mode", operation="linear", switch=at("with no_grad():"))
    story.train("head")
    finding = story.finding()
    assert brief(finding) == ("GA102", "error", ("body",), "with no_grad():")
    assert "`h.detach()` ran while gradients were switched off" in finding.message


def test_several_parameters_behind_one_cut_are_one_finding():
    story = fine_tuning("stem")
    story.severed("body", "stem")
    story.train("head")
    assert brief(story.finding())[2] == ("body", "stem")


def test_a_detach_beside_a_live_path_is_fine():
    story = fine_tuning()
    story.severed("body")
    story.train("body", "head")
    assert story.findings() == ()


def test_a_cut_before_what_no_optimizer_has_is_fine():
    story = Story("teacher", "student")
    story.optimizer("optimizer", "student")
    story.severed("teacher")
    story.train("student")
    assert story.findings() == ()


def test_everything_cut_off_makes_the_backward_fail_and_the_cut_is_named():
    story = fine_tuning()
    story.severed("body", "head", line="loss = tensor(loss.item())")
    story.backward(failed=True)
    assert brief(story.finding()) == (
        "GA102",
        "error",
        ("body", "head"),
        "loss = tensor(loss.item())",
    )


@pytest.mark.parametrize(
    ("passes", "cut_short", "severity"),
    [(1, False, "error"), (2, True, "warning"), (3, True, "error")],
)
def test_a_run_that_was_ended_at_once_does_not_prove_what_never_happens(
    passes: int, cut_short: bool, severity: str
):
    story = fine_tuning()
    story.train("head", passes=passes)
    (finding,) = judge(Case(story.recording(), cut_short=cut_short))
    assert brief(finding)[:3] == ("GA101", severity, ("body",))


@pytest.mark.parametrize(
    ("used", "cut_short", "severity"),
    [(1, True, "note"), (1, False, "error"), (2, True, "error")],
)
def test_the_heads_of_later_tasks_may_be_used_later(used: int, cut_short: bool, severity: str):
    heads = tuple(f"heads.{task}.bias" for task in range(4))
    story = Story("body", *heads)
    story.optimizer("optimizer", "body", *heads)
    story.train("body", *heads[:used], passes=5)
    (finding,) = judge(Case(story.recording(), cut_short=cut_short))
    assert brief(finding)[:3] == ("GA101", severity, heads[used:])


@pytest.mark.parametrize(
    ("scheduled", "cut_short", "severity"),
    [(True, True, "note"), (True, False, "error"), (False, True, "error")],
)
def test_a_cut_on_a_schedule_may_have_been_about_to_end(scheduled, cut_short, severity):
    story = fine_tuning()
    for _ in range(5):
        story.severed("body", line="h = h.detach()", scheduled=scheduled)
        story.train("head", passes=1)
    (finding,) = judge(Case(story.recording(), cut_short=cut_short))
    assert brief(finding)[:3] == ("GA102", severity, ("body",))


@pytest.mark.parametrize("alive", [True, False])
def test_a_cut_that_lasts_is_a_warning_unless_its_tensor_was_dropped(alive):
    story = Story("model")
    story.born("x", kind="tensor", alive=alive)
    story.optimizer("optimizer", "model")
    for number in range(16):
        story.zero("model", "x")
        if number < 6:
            story.backward("model", "x")
        else:
            story.severed("x")
            story.backward("model")
        story.update("x")
        story.step()
    expected = [("GA102", "warning", ("x",), "h.detach()")] if alive else []
    assert [brief(finding) for finding in story.findings()] == expected


# -- GA103 not-in-loss ---------------------------------------------------------------------------


def test_what_is_used_and_dropped_points_at_its_use():
    story = fine_tuning()
    story.entered("body", line="auxiliary = body(x)")
    story.ledger.feed(ev.LossLeft(at("auxiliary_loss = mse()"), story.of("body")))
    story.train("head")
    finding = story.finding()
    assert brief(finding) == ("GA103", "error", ("body",), "auxiliary = body(x)")
    assert [link.location.source for link in finding.related] == [
        "auxiliary = body(x)",
        "auxiliary_loss = mse()",
        "loss.backward()",
    ]


def test_what_comes_to_one_end_is_one_finding_that_points_at_it():
    story = fine_tuning("stem", "neck", "lone")
    loss = at("auxiliary_loss = mse()")
    for name in ("stem", "neck", "lone"):
        story.entered(name, line=f"x = {name}(x)")
    story.ledger.feed(ev.LossLeft(loss, story.of("stem", "neck")))
    story.train("body", "head")
    shared, lone = story.findings()
    assert brief(shared) == ("GA103", "error", ("neck", "stem"), "auxiliary_loss = mse()")
    assert [link.location.source for link in shared.related] == [
        "x = stem(x)",
        "x = neck(x)",
        "auxiliary_loss = mse()",
        "loss.backward()",
    ]
    assert brief(lone) == ("GA103", "error", ("lone",), "x = lone(x)")


def test_what_is_dropped_before_there_is_a_loss_tells_where_it_ends():
    story = fine_tuning()
    story.entered("body", line="x = body(x)")
    story.ledger.feed(ev.DeadEnd(at("total = x + change"), story.of("body")))
    story.train("head")
    assert [link.location.source for link in story.finding().related] == [
        "x = body(x)",
        "total = x + change",
        "loss.backward()",
    ]


def test_a_head_that_is_only_read_and_belongs_to_no_optimizer_is_fine():
    story = Story("body", "probe")
    story.optimizer("optimizer", "body")
    story.entered("probe")
    story.train("body")
    assert story.findings() == ()


# -- GA104 frozen-parameter ----------------------------------------------------------------------


def frozen_body(*trained: str) -> Story:
    story = Story(*trained)
    story.born("body", requires_grad=True)
    story.ledger.feed(ev.RequiresGradSet(at("p.requires_grad = False"), story.of("body"), False))
    return story


def test_an_optimizer_of_nothing_but_frozen_parameters_is_reported_where_they_were_frozen():
    story = frozen_body()
    story.optimizer("optimizer", "body")
    story.train()
    assert brief(story.finding()) == ("GA104", "error", ("body",), "p.requires_grad = False")


def test_an_optimizer_of_frozen_parameters_that_is_never_stepped_waits_for_its_turn():
    story = frozen_body("head")
    story.optimizer("later", "body")
    story.optimizer("optimizer", "head")
    story.train("head")
    assert story.findings() == ()


def test_a_misspelt_unfreezing_is_reported_where_it_stands():
    story = frozen_body("head")
    story.optimizer("optimizer", "body", "head")
    story.ledger.feed(
        ev.FreezeMisspelt(
            at("net.requires_grad = True"), story.of("body"), "net.requires_grad", value=True
        )
    )
    story.train("head")
    finding = story.finding()
    assert brief(finding) == ("GA104", "error", ("body",), "net.requires_grad = True")
    assert "`net.requires_grad = True`" in finding.message


def test_a_misspelt_freezing_of_what_is_frozen_anyway_is_fine():
    story = frozen_body("head")
    story.optimizer("optimizer", "body", "head")
    story.ledger.feed(
        ev.FreezeMisspelt(at("net.require_grad = False"), story.of("body"), "x", value=False)
    )
    story.train("head")
    assert story.findings() == ()


def test_a_frozen_group_of_its_own_is_a_warning():
    story = frozen_body("head")
    story.optimizer("optimizer", "body", "head", groups=(("body",), ("head",)))
    story.train("head")
    assert brief(story.finding()) == ("GA104", "warning", ("body",), "p.requires_grad = False")


def test_a_frozen_group_may_wait_for_its_turn_in_a_run_that_was_ended():
    story = frozen_body("head")
    story.optimizer("optimizer", "body", "head", groups=(("body",), ("head",)))
    story.train("head")
    (finding,) = judge(Case(story.recording(), cut_short=True))
    assert brief(finding)[:3] == ("GA104", "note", ("body",))


def test_a_frozen_parameter_read_by_name_is_reported_and_one_read_in_bulk_is_not():
    for bulk, rules in ((False, ["GA104"]), (True, [])):
        story = frozen_body("head")
        story.optimizer("optimizer", "body", "head")
        story.train("head")
        story.read_none("body", "requires-grad-missing", bulk=bulk)
        assert [finding.rule for finding in story.findings()] == rules


def test_a_group_that_is_unfrozen_later_is_fine():
    story = frozen_body("head")
    story.optimizer("optimizer", "body", "head", groups=(("body",), ("head",)))
    story.train("head", passes=2)
    story.ledger.feed(ev.RequiresGradSet(at("thaw"), story.of("body"), True))
    story.train("body", "head", passes=2)
    assert story.findings() == ()


@pytest.mark.parametrize(("again", "expected"), [(True, ["GA104"]), (False, [])])
def test_what_was_trained_and_is_frozen_anew_in_every_iteration_is_never_thawed(again, expected):
    story = Story("critic", "generator")
    story.optimizer("critics", "critic")
    story.optimizer("optimizer", "generator")
    for number in range(8):
        story.zero("critic", "generator")
        story.backward("generator", *(["critic"] if not number else []))
        story.step("critics")
        story.step()
        if again or not number:
            frozen = ev.RequiresGradSet(at("p.requires_grad = flag"), story.of("critic"), False)
            story.ledger.feed(frozen)
    assert [finding.rule for finding in story.findings()] == expected


# -- GA105 no-backward ---------------------------------------------------------------------------


def test_steps_without_any_backward_point_at_the_loss():
    story = fine_tuning()
    story.entered("body", "head")
    story.ledger.feed(ev.LossLeft(at("loss = mse()"), story.of("body", "head")))
    for _ in range(3):
        story.zero("body", "head")
        story.step()
    assert brief(story.finding()) == ("GA105", "error", ("body", "head"), "loss = mse()")


def test_steps_without_backward_or_known_loss_point_at_the_step():
    story = fine_tuning()
    for _ in range(3):
        story.step()
    assert brief(story.finding()) == ("GA105", "error", ("body", "head"), "optimizer.step()")


def test_grad_mode_off_for_good_points_at_the_switch():
    story = fine_tuning()
    story.backward(failed=True, grad_mode_off=at("set_grad_enabled(False)"))
    assert brief(story.finding()) == ("GA105", "error", ("body", "head"), "set_grad_enabled(False)")


@pytest.mark.parametrize(("off", "expected"), [(True, ["GA105"]), (False, ["GA404"])])
def test_grad_mode_off_from_some_iteration_on_points_at_the_switch(off, expected):
    story = fine_tuning()
    story.train("body", "head")
    switch = at("set_grad_enabled(False)") if off else None
    for _ in range(6):
        story.zero("body", "head")
        story.ledger.feed(
            ev.Stepped(at("optimizer.step()"), 0, frozenset(), story.of("body", "head"), switch)
        )
    finding = story.finding()
    assert [finding.rule] == expected
    assert (finding.location.source == "set_grad_enabled(False)") == off


def test_autograd_grad_whose_result_is_never_used_is_named():
    story = fine_tuning()
    for _ in range(2):
        story.ledger.feed(ev.Differentiated(at("grad(loss, parameters)")))
        story.step()
    assert brief(story.finding()) == ("GA105", "error", ("body", "head"), "grad(loss, parameters)")


def test_autograd_grad_whose_result_is_assigned_is_fine():
    story = fine_tuning()
    for _ in range(2):
        story.ledger.feed(ev.Differentiated(at("grad(loss, parameters)")))
        story.ledger.feed(ev.Assigned(at("p.grad = g"), story.of("body", "head")))
        story._filled |= story.of("body", "head")
        story.step()
    assert story.findings() == ()


def test_the_loss_of_a_second_optimizer_that_is_never_backpropagated_is_named():
    story = Story("policy", "value")
    story.optimizer("optimizer", "policy")
    story.optimizer("critic", "value")
    story.entered("policy", "value")
    story.ledger.feed(ev.LossLeft(at("value_loss = mse()"), story.of("value")))
    for _ in range(3):
        story.train("policy", passes=1)
        story.step("critic")
    assert brief(story.finding()) == ("GA105", "error", ("value",), "value_loss = mse()")


def test_an_optimizer_that_never_steps_and_is_never_read_says_nothing():
    assert fine_tuning().findings() == ()


# -- GA106 non-leaf ------------------------------------------------------------------------------


def non_leaf(subject: str, *, bulk: bool = False, line: str = "print(w.grad)") -> ev.NoneRead:
    return ev.NoneRead(at(line), None, subject, "non-leaf", at("w = w * 0.01"), "mul", bulk)


def test_a_result_taken_for_a_leaf_points_at_the_operation():
    story = Story()
    story.ledger.feed(non_leaf("w"))
    finding = story.finding()
    assert brief(finding) == ("GA106", "error", ("w",), "w = w * 0.01")
    assert "`mul`" in finding.message


def test_several_reads_of_one_result_are_one_finding():
    story = Story()
    story.ledger.feed(non_leaf("w"))
    story.ledger.feed(non_leaf("w", line="w -= w.grad"))
    assert brief(story.finding())[0] == "GA106"


@pytest.mark.parametrize(("updates", "expected"), [(False, []), (True, ["GA106"])])
def test_a_result_met_in_bulk_is_fine_unless_the_others_are_updated_there(updates, expected):
    story = Story("b")
    story.ledger.feed(non_leaf("w", bulk=True))
    for _ in range(3):
        story.backward("b")
        story.read("b")
        if updates:
            story.update("b")
        story.zero("b", by_hand=True)
    assert [finding.rule for finding in story.findings()] == expected


def test_a_result_met_in_bulk_where_no_gradient_is_ever_found():
    story = fine_tuning()
    story.ledger.feed(non_leaf("v", bulk=True))
    story.ledger.feed(non_leaf("w", bulk=True))
    story.train("body", "head")
    assert brief(story.finding())[:3] == ("GA106", "warning", ("v", "w"))


def test_a_result_met_in_bulk_is_the_fault_where_nothing_is_trained():
    story = Story("b")
    story.ledger.feed(non_leaf("w", bulk=True))
    story.backward("b")
    assert brief(story.findings()[0])[:3] == ("GA106", "error", ("w",))


# -- GA107 requires-grad-missing -----------------------------------------------------------------


def test_a_tensor_without_requires_grad_in_an_optimizer_points_at_its_creation():
    story = Story()
    story.born("w", kind="tensor", requires_grad=False)
    story.optimizer("optimizer", "w")
    story.step()
    assert brief(story.finding()) == ("GA107", "error", ("w",), "w = make()")


def test_a_tensor_without_requires_grad_that_is_read_is_reported():
    story = Story()
    story.born("x", kind="tensor", requires_grad=False)
    story.read_none("x", "requires-grad-missing")
    assert brief(story.finding()) == ("GA107", "error", ("x",), "x = make()")


def test_a_backward_for_a_gradient_that_is_never_computed_is_not_told_to_be_wiped():
    story = fine_tuning()
    story.born("x", kind="tensor", requires_grad=False)
    for number in range(6):
        story.backward("body", "head", line="attack_loss.backward()")
        if not number:
            story.read_none("x", "requires-grad-missing")
        story.zero("body", "head")
        story.backward("body", "head")
        story.step()
        story.zero("body", "head")
    assert [finding.rule for finding in story.findings()] == ["GA107"]


def test_data_that_nobody_asks_for_a_gradient_is_fine():
    story = fine_tuning()
    story.born("x", kind="tensor", requires_grad=False)
    story.train("body", "head")
    story.read_none("x", "requires-grad-missing", bulk=True)
    assert story.findings() == ()


def test_what_follows_hangs_below_its_cause():
    story = Story("body", "head")
    story.optimizer("optimizer", "body", "head")
    story.train("body")
    (consequence,) = story.finding().consequences
    assert (consequence.rule, consequence.parameters) == ("GA404", ("head",))
    assert consequence.message == "4 steps found nothing to apply to it"


def test_a_part_of_a_librarys_model_that_is_not_used_is_a_note():
    for elsewhere, severity in ((False, "note"), (True, "error")):
        story = Story()
        line = at("self.bert = BertModel(config)")
        story.born("bert.encoder", created=line)
        story.born("bert.pooler", created=at("self.extra = Pooler()") if elsewhere else line)
        for number, facts in story._facts.items():
            story._facts[number] = replace(facts, by_library=True)
        story.optimizer("optimizer", "bert.encoder", "bert.pooler")
        story.train("bert.encoder")
        assert [(f.rule, f.severity) for f in story.findings()] == [("GA101", severity)]
