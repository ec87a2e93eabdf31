from __future__ import annotations

from gradaudit.ledger.cohorts import ROUND, Cohorts
from gradaudit.ledger.stock import Entry

from .story import Story, at


def entry(line: str) -> Entry:
    return Entry(at(line), 1, evaluating=False, scaled=False, again=None)


def cohorts(count: int) -> Cohorts:
    made = Cohorts()
    for leaf in range(count):
        made.add(leaf, frozen=False, iteration=0)
    return made


def partition(made: Cohorts) -> set[frozenset[int]]:
    return {frozenset(cohort.members) for cohort in made}


def test_newborns_share_one_life():
    assert partition(cohorts(4)) == {frozenset({0, 1, 2, 3})}


def test_frozen_newborns_have_a_life_of_their_own():
    made = cohorts(2)
    made.add(2, frozen=True, iteration=0)
    assert partition(made) == {frozenset({0, 1}), frozenset({2})}


def test_a_leaf_added_after_something_happened_joins_nobody():
    made = cohorts(2)
    made.select(frozenset({0, 1}))
    made.add(2, frozen=False, iteration=0)
    assert partition(made) == {frozenset({0, 1}), frozenset({2})}


def test_a_selection_splits_what_it_cuts_and_nothing_else():
    made = cohorts(5)
    (chosen,) = made.select(frozenset({0, 1}))
    assert chosen.members == {0, 1}
    assert partition(made) == {frozenset({0, 1}), frozenset({2, 3, 4})}
    both = made.select(frozenset({1, 2}))
    assert {frozenset(cohort.members) for cohort in both} == {frozenset({1}), frozenset({2})}
    assert partition(made) == {
        frozenset({0}),
        frozenset({1}),
        frozenset({2}),
        frozenset({3, 4}),
    }


def test_a_part_keeps_the_past_and_goes_on_by_itself():
    made = cohorts(2)
    for cohort in made.select(frozenset({0, 1})):
        cohort.life.deposit(entry("both"), 0)
    for cohort in made.select(frozenset({0})):
        cohort.life.deposit(entry("one"), 0)
    assert made[0].deposited.sites == {at("both"): 1, at("one"): 1}
    assert made[1].deposited.sites == {at("both"): 1}
    assert (made[0].held, made[1].held) == (2, 1)


def test_a_copied_life_shares_no_tally():
    made = cohorts(2)
    (part,) = made.select(frozenset({0}))
    life = part.life
    life.deposit(entry("backward"), 0)
    life.clear(at("zero"), 0, by_hand=False)
    life.step_without(at("step"), 0, whole=True)
    twin = life.copy()
    twin.deposit(entry("backward"), 1)
    twin.clear(at("zero"), 1, by_hand=False)
    twin.step_without(at("step"), 1, whole=True)
    twin.close(1)
    assert life.deposited.count == 1
    assert life.cleared.count == 1
    assert life.discarded.count == 1
    assert life.missing.count == 1
    assert life.starved[False, True].count == 1
    assert list(life.timeline) == []


def test_a_selection_is_remembered_until_a_split():
    made = cohorts(4)
    pair = frozenset({0, 1})
    first = made.select(pair)
    assert made.select(pair) is first
    made.select(frozenset({2}))
    assert {frozenset(cohort.members) for cohort in made.select(pair)} == {pair}
    made.select(frozenset({0}))
    assert {frozenset(cohort.members) for cohort in made.select(pair)} == {
        frozenset({0}),
        frozenset({1}),
    }


def test_a_remembered_selection_is_not_served_after_its_cohort_was_split():
    story = Story(0, 1)
    story.backward(0, 1)
    story.backward(0, line="one")
    story.backward(0, 1)
    assert (story.ledger.life(0).held, story.ledger.life(1).held) == (3, 2)


def test_the_empty_selection_is_nobody():
    assert cohorts(2).select(frozenset()) == ()


def test_parameters_that_live_alike_cost_one_life():
    story = Story(*range(300))
    story.optimizer(0, *range(300))
    for _ in range(5):
        story.zero(*range(300))
        story.backward(*range(300))
        story.step()
    assert len(list(story.end().cohorts)) == 1


def test_an_iteration_costs_nothing_to_those_to_whom_nothing_happens():
    made = cohorts(2)
    (busy,) = made.select(frozenset({0}))
    (idle,) = made.select(frozenset({1}))
    idle.life.deposit(entry("backward"), 0)
    made.close(0)
    for iteration in (1, 2, 3):
        made.select(frozenset({0}))
        made.close(iteration)
    assert (busy.life.timeline.end, idle.life.timeline.end) == (3, 0)
    runs = [(run.first, run.last, run.state, run.contributions) for run in made[1].timeline]
    assert runs == [(0, 0, "unapplied", 1), (1, 3, "unapplied", 0)]


def test_only_those_to_whom_something_happened_lately_are_part_of_the_state():
    made = cohorts(3)
    for leaf in range(3):
        made.select(frozenset({leaf}))
    made.close(0)
    for iteration in range(1, ROUND):
        made.select(frozenset({0}))
        made.close(iteration)
    assert made.state == {"lives": [made[2], made[0], made[1]], "over": ROUND - 1}
    made.select(frozenset({1}))
    made.close(ROUND)
    assert made.state == {"lives": [made[0], made[1]], "over": ROUND}


def test_who_wakes_up_is_told_what_it_has_slept_through():
    made = cohorts(2)
    made.select(frozenset({0}))
    for iteration in (0, 1, 2):
        made.close(iteration)
    (late,) = made.select(frozenset({1}))
    late.life.deposit(entry("backward"), 3)
    made.close(3)
    runs = [(run.first, run.last, run.state) for run in made[1].timeline]
    assert runs == [(0, 2, "none"), (3, 3, "unapplied")]
