"""The timelines of a report: lives, with what samples showed and where contributions came from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gradaudit.model.report import State, TimelineRun
from gradaudit.model.run import RunFacts
from gradaudit.model.timelines import STATES, Stretch, coarsened, lives, with_values
from gradaudit.rules.assemble import assemble

from .story import Story

FACTS = RunFacts("train.py", ("train.py",), "/project", "completed", 0, None, 1.0)
NET = ("a", "b")
WORTHLESS = ("zero", "nonfinite")


def trained(
    count: int, worthless: dict[int, str], *, sampled: range | None = None
) -> tuple[TimelineRun, ...]:
    """The timeline of ``a``; in some iterations the sample is worthless."""
    story = Story(*NET)
    story.optimizer("optimizer", *NET)
    for iteration in range(count):
        story.zero(*NET)
        story.backward(*NET)
        if iteration in (range(count) if sampled is None else sampled):
            shown = worthless.get(iteration)
            story.sampled(
                zero=("a",) if shown == "zero" else (),
                nonfinite=("a",) if shown == "nonfinite" else (),
            )
        story.step()
    report = assemble(story.recording(), FACTS)
    return next(info.timeline for info in report.parameters if info.name == "a")


def brief(timeline: tuple[TimelineRun, ...]) -> list[tuple[int, int, State, State | None]]:
    return [(run.first, run.last, run.state, run.life) for run in timeline]


def test_a_sample_that_was_worthless_is_told_in_its_iteration():
    assert brief(trained(6, {2: "zero", 5: "nonfinite"})) == [
        (0, 1, "fresh", None),
        (2, 2, "zero", "fresh"),
        (3, 4, "fresh", None),
        (5, 5, "nonfinite", "fresh"),
    ]


def test_between_two_samples_that_agree_and_after_the_last_it_was_so():
    always = dict.fromkeys(range(100), "zero")
    assert brief(trained(100, always, sampled=range(4, 100, 32))) == [
        (0, 3, "fresh", None),
        (4, 99, "zero", "fresh"),
    ]


def test_whatever_was_sampled_the_lives_are_the_same():
    everywhere = trained(50, {3: "zero", 40: "nonfinite"})
    seldom = trained(50, {3: "zero", 40: "nonfinite"}, sampled=range(0, 50, 10))
    assert everywhere != seldom
    assert lives(everywhere) == lives(seldom) == [TimelineRun(0, 49, "fresh", 1)]


def test_values_do_not_hide_a_life_that_is_graver():
    stale = [TimelineRun(0, 9, "stale", 1)]
    assert [run.state for run in with_values(stale, [Stretch(2, 3, "zero")])] == ["stale"]
    cut = with_values(stale, [Stretch(2, 3, "nonfinite")])
    assert [run.state for run in cut] == ["stale", "nonfinite", "stale"]


@st.composite
def timelines(draw: st.DrawFn) -> list[TimelineRun]:
    runs: list[TimelineRun] = []
    for length in draw(st.lists(st.integers(1, 9), max_size=12)):
        first = runs[-1].last + 1 if runs else 0
        state = draw(st.sampled_from([each for each in STATES if each not in WORTHLESS]))
        contributions, mixed = draw(st.integers(0, 2)), draw(st.booleans())
        runs.append(TimelineRun(first, first + length - 1, state, contributions, mixed))
    return runs


STRETCHES = st.lists(
    st.builds(
        lambda first, length, state: Stretch(first, first + length, state),
        st.integers(0, 100),
        st.integers(0, 30),
        st.sampled_from(WORTHLESS),
    ),
    max_size=6,
).map(lambda some: sorted(some, key=lambda each: each.first))


@given(timelines(), STRETCHES)
def test_telling_values_changes_nothing_else(timeline, stretches):
    told = list(with_values(timeline, stretches))
    assert lives(told) == lives(timeline)
    covered = [at for run in told for at in range(run.first, run.last + 1)]
    assert covered == [at for run in timeline for at in range(run.first, run.last + 1)]
    assert len(told) <= len(timeline) + 2 * len(stretches)
    for run in told:
        if run.state in WORTHLESS:
            assert run.life in ("stale", "accumulated", "fresh")
            assert run.state in {
                each.state
                for each in stretches
                if each.first <= run.first and run.last <= each.last
            }


# -- where contributions came from -----------------------------------------------------------------


def sources(story: Story) -> list[tuple[State, int, list[str]]]:
    report = assemble(story.recording(), FACTS)
    (info,) = report.parameters
    return [
        (run.state, run.contributions, [report.backwards[at].source for at in run.backwards])
        for run in info.timeline
    ]


def one_weight() -> Story:
    story = Story("w")
    story.optimizer("optimizer", "w")
    return story


def test_a_stray_backward_is_told_where_it_contributed_and_nowhere_else():
    story = one_weight()
    for iteration in range(6):
        story.zero("w")
        if iteration == 3:
            story.backward("w", line="monitor.backward()")
        story.backward("w")
        story.step()
    assert sources(story) == [
        ("fresh", 1, ["loss.backward()"]),
        ("accumulated", 2, ["monitor.backward()", "loss.backward()"]),
        ("fresh", 1, ["loss.backward()"]),
    ]


def test_backwards_that_take_turns_are_told_of_one_run():
    story = one_weight()
    for iteration in range(200):
        story.zero("w")
        story.backward("w", line=f"losses[{iteration % 2}].backward()")
        story.step()
    assert sources(story) == [("fresh", 1, ["losses[0].backward()", "losses[1].backward()"])]


def test_of_what_was_thrown_away_or_is_still_held_it_is_told_too():
    story = one_weight()
    story.zero("w")
    story.backward("w")
    story.step()
    story.zero("w")
    story.backward("w", line="lost.backward()")
    story.zero("w", line="again.zero_grad()")
    story.step()
    story.zero("w")
    story.backward("w", line="kept.backward()")
    story.backward("w")
    assert sources(story)[1:] == [
        ("discarded", 1, ["lost.backward()"]),
        ("unapplied", 2, ["kept.backward()", "loss.backward()"]),
    ]


def test_parameters_that_part_keep_their_own():
    story = Story(*NET)
    story.optimizer("optimizer", *NET)
    for iteration in range(4):
        story.zero(*NET)
        story.backward(*NET)
        if iteration == 2:
            story.backward("a", line="extra.backward()")
        story.step()
    report = assemble(story.recording(), FACTS)
    told = {info.name: [run.backwards for run in info.timeline] for info in report.parameters}
    assert told == {"a": [(0,), (0, 1), (0,)], "b": [(0,)]}


def test_joined_runs_tell_all_their_backwards():
    runs = [TimelineRun(at, at, "fresh", 1, backwards=(at % 3,)) for at in range(6)]
    assert [run.backwards for run in coarsened(runs, 2)] == [(0, 1, 2), (0, 1, 2)]
