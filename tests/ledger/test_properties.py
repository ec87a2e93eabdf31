"""Random programs, told to the ledger and to an interpreter that keeps a diary of every leaf.

The interpreter shares no life between leaves, tallies nothing on the way and closes nothing: it
writes down what was done to one leaf in which iteration, and reads the states off the diary.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from .story import Story

LEAVES = (0, 1, 2, 3)
SUBSETS = st.frozensets(st.sampled_from(LEAVES))
OWNED = ((0, 1, 2, 3), (0, 1), (3,))

Action = tuple[str, int, frozenset[int]]

ACTIONS = st.one_of(
    st.tuples(st.just("backward"), st.integers(0, 2), SUBSETS),
    st.tuples(st.just("zero"), st.integers(0, 1), SUBSETS),
    st.tuples(st.just("step"), st.integers(0, len(OWNED) - 1), st.just(frozenset())),
)
PROGRAMS = st.one_of(
    st.lists(ACTIONS, max_size=40),
    st.tuples(st.lists(ACTIONS, min_size=1, max_size=6), st.integers(2, 8)).map(
        lambda loop: loop[0] * loop[1]
    ),
)


@dataclass
class Diary:
    """One leaf's buffer, as plain as can be: who put what in, and whether a step used it."""

    contributions: list[bool] = field(default_factory=list)  # used already?
    soiled: bool = False
    pages: dict[int, list[str]] = field(default_factory=dict)  # iteration -> what happened
    applied: int = 0
    stale: int = 0
    discarded: int = 0
    missing: int = 0
    starved: int = 0
    wiped: bool = False

    def write(self, iteration: int, what: str) -> None:
        self.pages.setdefault(iteration, []).append(what)


class Reference:
    def __init__(self) -> None:
        self.diaries = {leaf: Diary() for leaf in LEAVES}
        self.iteration = 0
        self.keys: list[Hashable] = []  # of this iteration, in order
        self.until_step = 0  # how many of them came before its last step
        self.ends: dict[int, dict[int, bool]] = {leaf: {} for leaf in LEAVES}
        self.begun = False

    def happens(self, key: Hashable) -> None:
        if key in self.keys[: self.until_step]:
            self.turn()
            self.iteration += 1
            self.keys, self.until_step = [], 0
        self.begun = True
        self.keys.append(key)

    def turn(self) -> None:
        for leaf, diary in self.diaries.items():
            self.ends[leaf][self.iteration] = not all(diary.contributions)

    def backward(self, line: int, leaves: frozenset[int]) -> None:
        self.happens(("backward", line))
        for leaf in leaves:
            diary = self.diaries[leaf]
            diary.soiled |= any(diary.contributions)
            diary.contributions.append(False)
            diary.wiped = False
            diary.write(self.iteration, "deposit")

    def zero(self, line: int, leaves: frozenset[int]) -> None:
        self.happens(("zero", line, leaves))
        for leaf in leaves:
            diary = self.diaries[leaf]
            if not all(diary.contributions):
                diary.discarded += 1
                diary.wiped = True
                diary.write(self.iteration, "discarded")
            diary.contributions = []
            diary.soiled = False

    def step(self, number: int) -> None:
        self.happens(("step", number))
        self.until_step = len(self.keys)
        for leaf in OWNED[number]:
            diary = self.diaries[leaf]
            if not diary.contributions:
                diary.missing += 1
                diary.starved += diary.wiped
                diary.wiped = False
                continue
            diary.applied += 1
            new = diary.contributions.count(False)
            if new:
                stale = diary.soiled
                diary.stale += stale
                sort = "stale" if stale else "fresh" if new == 1 else "accumulated"
                diary.write(self.iteration, sort)
                diary.write(self.iteration, f"used {new}")
            diary.contributions = [True] * len(diary.contributions)

    def states(self, leaf: int) -> list[tuple[str, int]]:
        """State and contributions of every iteration."""
        told = []
        for iteration in range(self.iteration + 1 if self.begun else 0):
            page = self.diaries[leaf].pages.get(iteration, [])
            uses = [word for word in page if word in {"fresh", "accumulated", "stale"}]
            if uses:
                state = uses[-1]
            elif "discarded" in page:
                state = "discarded"
            else:
                state = "unapplied" if self.ends[leaf][iteration] else "none"
            used = [int(word.removeprefix("used ")) for word in page if word.startswith("used ")]
            told.append((state, used[-1] if used else page.count("deposit")))
        return told


def lived_through(program: list[Action]) -> tuple[Story, Reference]:
    story, reference = Story(*LEAVES), Reference()
    for number, owned in enumerate(OWNED):
        story.optimizer(number, *owned)
    for what, line, leaves in program:
        if what == "backward":
            story.backward(*leaves, line=f"backward {line}")
            reference.backward(line, leaves)
        elif what == "zero":
            story.zero(*leaves, line=f"zero {line}")
            reference.zero(line, leaves)
        else:
            story.step(line, f"step {line}")
            reference.step(line)
    story.end()
    if reference.begun:
        reference.turn()
    return story, reference


@settings(max_examples=100, derandomize=True)
@given(PROGRAMS)
def test_every_life_agrees_with_the_diary(program: list[Action]):
    story, reference = lived_through(program)
    for leaf in LEAVES:
        life, diary = story.ledger.life(leaf), reference.diaries[leaf]
        assert life.held == diary.contributions.count(False)
        assert life.spent == diary.contributions.count(True)
        assert life.deposited.count == sum(page.count("deposit") for page in diary.pages.values())
        assert life.applied.count == diary.applied
        assert life.stale.count == diary.stale
        assert life.discarded.count == diary.discarded
        assert life.missing.count == diary.missing
        assert sum(tally.count for tally in life.starved.values()) == diary.starved


@settings(max_examples=100, derandomize=True)
@given(PROGRAMS)
def test_every_timeline_agrees_with_the_diary(program: list[Action]):
    story, reference = lived_through(program)
    assert story.ledger.iterations == (reference.iteration + 1 if reference.begun else 0)
    for leaf in LEAVES:
        unrolled = [
            (run.state, run.contributions)
            for run in story.ledger.life(leaf).timeline
            for _ in range(run.first, run.last + 1)
        ]
        expected = reference.states(leaf)
        assert unrolled == expected


@settings(max_examples=100, derandomize=True)
@given(PROGRAMS)
def test_a_timeline_covers_every_iteration_once_and_no_run_could_be_longer(
    program: list[Action],
):
    story, _ = lived_through(program)
    for leaf in LEAVES:
        runs = story.ledger.life(leaf).timeline
        covered = [index for run in runs for index in range(run.first, run.last + 1)]
        assert covered == list(range(story.ledger.iterations))
        for one, two in pairwise(runs):
            assert (one.state, one.contributions) != (two.state, two.contributions)


@settings(max_examples=100, derandomize=True)
@given(PROGRAMS)
def test_cohorts_are_a_partition_of_leaves_that_lived_alike(program: list[Action]):
    story, _ = lived_through(program)
    members = [leaf for cohort in story.ledger.cohorts for leaf in cohort.members]
    assert sorted(members) == list(LEAVES)
    for cohort in story.ledger.cohorts:
        assert cohort.members
        assert all(story.ledger.life(leaf) is cohort.life for leaf in cohort.members)


@settings(max_examples=100, derandomize=True)
@given(PROGRAMS)
def test_tallies_speak_of_iterations_that_were(program: list[Action]):
    story, _ = lived_through(program)
    for leaf in LEAVES:
        life = story.ledger.life(leaf)
        for tally in (
            life.deposited,
            life.applied,
            life.stale,
            life.cleared,
            life.discarded,
            life.missing,
        ):
            span = tally.span()
            if span is None:
                assert tally.count == 0
            else:
                assert 0 <= span.first <= span.last < story.ledger.iterations
                assert span.count > 0
