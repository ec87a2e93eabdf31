"""Several reports become one: what is alike is told once, what differs is told of its ranks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradaudit.model.report import ExceptionInfo, Loop, LoopEvent, Report, Stride, TimelineRun
from gradaudit.model.run import RunFacts
from gradaudit.model.sites import Location
from gradaudit.model.timelines import Stretch, with_values
from gradaudit.rules.assemble import assemble
from gradaudit.rules.merge import merge
from gradaudit.rules.words import in_a_row

from .story import Story

NET = ("net.weight", "net.bias")


def rank(
    number: int,
    world_size: int = 2,
    *,
    passes: int = 4,
    fed: tuple[str, ...] = NET,
    scale: float = 1.0,
    values: tuple[float, ...] = (1.0, 2.0, 3.0),
    cleared: bool = True,
    replicated: bool = True,
    outcome: str = "completed",
) -> Report:
    """The report of one rank that has trained ``net``; only ``fed`` ever get a gradient."""
    story = Story(*NET)
    story.optimizer("optimizer", *NET)
    for _ in range(passes):
        if cleared:
            story.zero(*NET)
        story.backward(*fed)
        story.sampled()
        story.step()
    facts = RunFacts(
        "train.py",
        ("train.py",),
        "/project",
        outcome,
        0,
        None,
        2.0 + number,
        rank=number,
        world_size=world_size,
    )
    report = assemble(story.recording(), facts)
    return replace(
        report,
        parameters=tuple(
            replace(
                info,
                replicated=replicated,
                value_norm=tuple(zip((0, 1, 2), values, strict=True)),
                grad_norm=tuple((iteration, norm * scale) for iteration, norm in info.grad_norm),
            )
            for info in report.parameters
        ),
    )


def told(report: Report) -> list[tuple[str, tuple[int, ...]]]:
    return [(finding.rule, finding.ranks) for finding in report.findings]


def test_healthy_ranks_are_one_healthy_report():
    merged = merge([rank(0), rank(1)])
    assert told(merged) == []
    assert merged.coverage.gaps == ()
    assert [(info.name, info.ranks) for info in merged.parameters] == [
        ("net.weight", (0, 1)),
        ("net.bias", (0, 1)),
    ]
    run = merged.run
    assert (run.iterations, run.backward_calls, run.optimizer_steps) == (4, 8, 8)
    assert (run.rank, run.world_size, run.wall_seconds) == (0, 2, 3.0)
    assert [info.rank for info in merged.ranks] == [0, 1]


def test_what_all_ranks_say_is_said_once_and_what_one_says_is_said_of_that_one():
    both = merge([rank(0, cleared=False), rank(1, cleared=False)])
    assert told(both) == [("GA201", (0, 1))]
    assert told(merge([rank(0), rank(1, cleared=False)])) == [("GA201", (1,))]
    assert merge([rank(0), rank(1, cleared=False)]).summary.error == 1


def test_of_a_finding_the_loudest_counts():
    loud = rank(0, cleared=False)
    mild = rank(1, cleared=False)
    mild = replace(mild, findings=(replace(mild.findings[0], severity="note"),))
    assert [finding.severity for finding in merge([mild, loud]).findings] == ["error"]


def test_the_order_of_the_reports_does_not_matter():
    some = [rank(0), rank(1, cleared=False), rank(2, passes=3)]
    some = [replace(report, run=replace(report.run, world_size=3)) for report in some]
    assert merge(some) == merge(some[::-1])


def test_merged_reports_can_be_merged():
    ranks = [rank(number, 4, cleared=number > 0) for number in range(4)]
    nodes = [merge(ranks[:2]), merge(ranks[2:])]
    assert nodes[0].coverage.gaps[0].what == "ranks 2 and 3"
    whole, at_once = merge(nodes), merge(ranks)
    assert told(whole) == told(at_once) == [("GA201", (0,))]
    assert whole.ranks == at_once.ranks
    assert whole.run == at_once.run


def test_what_any_rank_sampled_was_sampled():
    runs = {0: (Stride(0, 4, 2), Stride(7, 7, 1)), 1: (Stride(0, 6, 2),)}
    ranks = []
    for number, sampled in runs.items():
        report = rank(number)
        ranks.append(replace(report, coverage=replace(report.coverage, sampled=sampled)))
    assert merge(ranks).coverage.sampled == (Stride(0, 6, 2), Stride(7, 7, 1))


def test_missing_ranks_are_named():
    assert [gap.what for gap in merge([rank(0, 3), rank(2, 3)]).coverage.gaps] == ["rank 1"]
    assert [gap.what for gap in merge([rank(1, 4)]).coverage.gaps] == ["ranks 0, 2 and 3"]


def test_processes_without_a_world_are_counted_and_never_compared():
    merged = merge([rank(0, 1), rank(0, 1, passes=7), rank(0, 1, scale=3.0)])
    assert [(info.rank, info.world_size) for info in merged.ranks] == [(0, 1), (1, 1), (2, 1)]
    assert told(merged) == []
    assert merged.run.world_size == 3


def test_two_worlds_one_after_the_other_are_not_taken_for_one():
    merged = merge([rank(0), rank(1), rank(0, passes=9), rank(1, passes=9)])
    assert [info.rank for info in merged.ranks] == [0, 1, 2, 3]
    assert told(merged) == []


def test_lives_that_differ_are_told_of_their_ranks():
    merged = merge([rank(0, 3), rank(1, 3, cleared=False), rank(2, 3)])
    assert [(info.name, info.ranks) for info in merged.parameters] == [
        ("net.weight", (0, 2)),
        ("net.weight (in rank 1)", (1,)),
        ("net.bias", (0, 2)),
        ("net.bias (in rank 1)", (1,)),
    ]


def test_the_life_of_a_rank_that_died_is_a_part_of_the_others():
    merged = merge([rank(0, outcome="failed"), rank(1, passes=2, outcome="interrupted")])
    whole = TimelineRun(0, 3, "fresh", 1, backwards=(0,))
    assert [info.timeline for info in merged.parameters] == [(whole,)] * 2
    assert (merged.run.outcome, told(merged)) == ("failed", [])


def test_values_that_other_iterations_of_a_rank_showed_make_no_other_life():
    here, there = sampled_worthless(0, {1: "zero"}), sampled_worthless(1, {2: "nonfinite"})
    merged = merge([here, there])
    assert "GA601" not in [rule for rule, _ in told(merged)]
    assert [info.ranks for info in merged.parameters] == [(0, 1)] * 2
    states = [(run.first, run.last, run.state, run.life) for run in merged.parameters[0].timeline]
    assert states == [
        (0, 0, "fresh", None),
        (1, 1, "zero", "fresh"),
        (2, 2, "nonfinite", "fresh"),
        (3, 3, "fresh", None),
    ]


def sampled_worthless(number: int, states: dict[int, str]) -> Report:
    report = rank(number)
    return replace(
        report,
        parameters=tuple(
            replace(
                info,
                timeline=tuple(
                    with_values(
                        info.timeline,
                        [Stretch(when, when, state) for when, state in states.items()],
                    )
                ),
            )
            for info in report.parameters
        ),
    )


def test_timelines_of_all_ranks_refer_to_the_same_backwards():
    first, second = rank(0), rank(1, fed=("net.bias",))
    evaluated = Location("evaluate.py", 3)
    second = replace(
        second,
        backwards=(evaluated, *second.backwards),
        parameters=tuple(
            replace(
                info,
                timeline=tuple(
                    replace(run, backwards=tuple(index + 1 for index in run.backwards))
                    for run in info.timeline
                ),
            )
            for info in second.parameters
        ),
    )
    merged = merge([first, second])
    assert merged.backwards == (*first.backwards, evaluated)
    fed = [run for info in merged.parameters for run in info.timeline if run.contributions]
    assert {run.backwards for run in fed} == {(0,)}


def test_the_exception_is_that_of_the_rank_that_failed_first():
    reports = [
        replace(report, run=replace(report.run, exception=ExceptionInfo(kind, "", None)))
        for report, kind in ((rank(1), "ConnectionError"), (rank(0), "ValueError"))
    ]
    exception = merge(reports).run.exception
    assert exception is not None
    assert exception.type == "ValueError"


def test_the_process_that_the_user_started_says_how_it_ended():
    frame = replace(rank(0, 1).run, target="launch.py", exit_code=3, outcome="failed")
    run = merge([rank(0), rank(1)], frame=frame).run
    assert (run.target, run.exit_code, run.outcome, run.iterations) == ("launch.py", 3, "failed", 4)


# -- GA601 -----------------------------------------------------------------------------------------


def test_steps_that_not_all_ranks_take():
    (finding,) = merge([rank(0), rank(1, passes=5)]).findings
    assert (finding.rule, finding.ranks, finding.severity) == ("GA601", (0, 1), "error")
    assert "4 steps in rank 0 and 5 steps in rank 1" in finding.message
    assert finding.parameters == ("net.bias", "net.weight")


def test_a_gradient_that_only_some_ranks_ever_have_explains_what_they_say():
    merged = merge([rank(0, 3), rank(1, 3, fed=("net.bias",)), rank(2, 3)])
    (finding,) = (finding for finding in merged.findings if finding.severity == "error")
    assert (finding.rule, finding.parameters) == ("GA601", ("net.weight",))
    assert "in rank 1 and always has one in ranks 0 and 2" in finding.message
    assert [item.rule for item in finding.consequences] == ["GA101"]


@pytest.mark.parametrize(
    "other",
    [
        rank(1, passes=2, outcome="interrupted"),
        rank(1, passes=5, replicated=False),
        rank(1, replicated=False, fed=("net.bias",), scale=2.0),
    ],
    ids=["killed", "not replicated", "another stage"],
)
def test_ranks_that_may_differ(other):
    assert not {"GA601", "GA602"} & {finding.rule for finding in merge([rank(0), other]).findings}


# -- GA602 -----------------------------------------------------------------------------------------


def test_gradients_that_differ_between_ranks():
    (finding,) = merge([rank(0), rank(1, scale=1.1)]).findings
    assert (finding.rule, finding.ranks, finding.severity) == ("GA602", (0, 1), "error")
    assert finding.iterations is not None
    assert (finding.iterations.first, finding.iterations.count) == (0, 4)


def test_where_the_wrapper_was_not_called_is_the_line_to_change():
    here = Location("train.py", 7, source="loss = model.module(x).sum()")
    ranks = [rank(0), rank(1, scale=1.1)]
    round_it = [
        replace(each, parameters=tuple(replace(info, bypass=here) for info in each.parameters))
        for each in ranks
    ]
    (finding,) = merge(round_it).findings
    assert finding.location == here
    assert "Call the wrapper" in finding.help
    (finding,) = merge([ranks[0], round_it[1]]).findings  # not so in both of them
    assert finding.location != here


def test_what_is_done_to_gradients_on_one_rank_only_is_the_line_to_change():
    clip = Location("train.py", 9, source="clip_grad_norm_(net.parameters(), 1.0)")
    loop = Loop(Location("train.py", 1), 4, (LoopEvent("clip", clip, 4),))
    one, other = rank(0), rank(1, scale=1.1)
    clipping = [replace(each, loops=(*each.loops, loop)) for each in (one, other)]
    (finding,) = merge([clipping[0], other]).findings
    assert finding.location == clip
    assert finding.related[-1].message == "changed here, in rank 0 only"
    (finding,) = merge(clipping).findings
    assert finding.location != clip


def test_rounding_is_no_difference():
    assert told(merge([rank(0), rank(1, scale=1 + 1e-6)])) == []


def test_iterations_that_are_counted_otherwise_are_not_compared():
    merged = merge([rank(0), rank(1, passes=5, scale=2.0)])
    assert [finding.rule for finding in merged.findings] == ["GA601"]


def test_a_rank_that_was_killed_is_compared_as_far_as_it_came():
    merged = merge([rank(0), rank(1, passes=2, scale=2.0, outcome="interrupted")])
    assert told(merged) == [("GA602", (0, 1))]


# -- GA603 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "since"),
    [((1.5, 2.5, 3.5), "from the first step on"), ((1.0, 2.5, 3.5), "since iteration 1")],
)
def test_values_that_drift_apart(values, since):
    (finding,) = merge([rank(0), rank(1, values=values)]).findings
    assert (finding.rule, finding.ranks, finding.severity) == ("GA603", (0, 1), "error")
    assert since in finding.message


def test_values_that_come_together_again_are_no_drift():
    assert told(merge([rank(0), rank(1, values=(1.5, 2.5, 3.0))])) == []


def test_drift_that_is_explained_is_not_told_again():
    merged = merge([rank(0), rank(1, scale=2.0, values=(1.0, 2.5, 3.5))])
    assert told(merged) == [("GA602", (0, 1))]


def test_values_that_were_sampled_in_other_iterations_are_not_compared():
    one = rank(1)
    shifted = [
        replace(info, value_norm=tuple((each + 3, norm * 2) for each, norm in info.value_norm))
        for info in one.parameters
    ]
    assert told(merge([rank(0), replace(one, parameters=tuple(shifted))])) == []


@pytest.mark.parametrize(
    ("numbers", "text"),
    [((0,), "0"), ((2, 0), "0 and 2"), ((0, 1, 2), "0 to 2"), ((0, 1, 3, 4, 5), "0, 1 and 3 to 5")],
)
def test_numbers_in_a_row(numbers, text):
    assert in_a_row(numbers) == text
