from __future__ import annotations

from gradaudit.model import events as ev
from gradaudit.model.sites import Location, Site
from gradaudit.observe.by_hand import Deeds, Habit, unexplained
from gradaudit.observe.gradients import NOTHING, Changes

READ, UPDATE, CLEAR = (Site(Location("train.py", line)) for line in (1, 2, 3))


def told(events: tuple[ev.Event, ...]) -> list[tuple[str, set[int]]]:
    return [(type(event).__name__, set(event.members)) for event in events]  # type: ignore[union-attr]


def test_a_loop_parameter_by_parameter_becomes_one_event_of_each_kind():
    deeds = Deeds(frozenset)
    for leaf in range(3):
        deeds.updated(leaf, UPDATE)
        deeds.cleared(leaf, CLEAR, to_none=True)
    assert told(deeds.take()) == [("Updated", {0, 1, 2}), ("Cleared", {0, 1, 2})]


def test_the_same_deed_twice_is_two_events():
    deeds = Deeds(frozenset)
    for _ in range(2):
        deeds.updated(0, UPDATE)
    assert told(deeds.take()) == [("Updated", {0}), ("Updated", {0})]


def test_the_order_that_one_leaf_saw_is_kept():
    deeds = Deeds(frozenset)
    deeds.updated(0, UPDATE)
    deeds.cleared(0, CLEAR, to_none=True)
    deeds.cleared(1, CLEAR, to_none=True)
    deeds.updated(1, UPDATE)
    events = told(deeds.take())
    for leaf, order in ((0, ["Updated", "Cleared"]), (1, ["Cleared", "Updated"])):
        assert [kind for kind, members in events if leaf in members] == order


def test_taking_begins_a_new_stretch():
    deeds = Deeds(frozenset)
    deeds.cleared(0, CLEAR, to_none=True)
    assert deeds.explained == {0}
    deeds.take()
    assert deeds.explained == set()
    assert deeds.take() == ()


def test_reading_and_updating_explain_no_change_of_grad():
    deeds = Deeds(frozenset)
    deeds.read(0, READ)
    deeds.updated(0, UPDATE)
    assert deeds.explained == set()


CHANGES = Changes({0: "emptied", 1: "filled", 2: "replaced", 3: 1}, frozenset({1, 2, 3}))


def test_changes_that_nobody_was_seen_making_have_no_site():
    cleared, assigned, rescaled = unexplained(CHANGES, (), frozenset)
    assert isinstance(cleared, ev.Cleared)
    assert isinstance(assigned, ev.Assigned)
    assert isinstance(rescaled, ev.Rescaled)
    assert (cleared.members, assigned.members, rescaled.members) == ({0}, {1, 2}, {3})
    assert cleared.site is assigned.site is rescaled.site is None
    assert unexplained(NOTHING, (), frozenset) == []


def test_what_is_explained_already_is_left_out():
    assigned, rescaled = unexplained(CHANGES, {0, 2}, frozenset)
    assert isinstance(assigned, ev.Assigned)
    assert isinstance(rescaled, ev.Rescaled)
    assert (assigned.members, rescaled.members) == ({1}, {3})


def test_a_habit_is_known_by_the_traces_it_leaves():
    habit = Habit(CHANGES, ())
    assert habit.explains(CHANGES)
    assert habit.explains(Changes(dict(CHANGES.marks), CHANGES.left))
    assert not habit.explains(NOTHING)
    assert not habit.explains(Changes({**CHANGES.marks, 3: 2}, CHANGES.left))


def test_of_the_dead_a_habit_expects_no_traces_and_tells_no_reads():
    habit = Habit(
        CHANGES,
        (
            ev.GradRead(READ, frozenset({0, 1})),
            ev.GradRead(READ, frozenset({0})),
            ev.Updated(UPDATE, frozenset({0})),
        ),
    )
    habit.forget(frozenset({0}))
    assert told(habit.events) == [("GradRead", {1}), ("Updated", {0})]
    assert not habit.explains(CHANGES)
    assert habit.explains(Changes({1: "filled", 2: "replaced", 3: 1}, frozenset({1, 2, 3})))


def test_a_read_of_what_has_just_come_up_is_no_habit():
    habit = Habit(
        CHANGES,
        (ev.GradRead(READ, frozenset({0, 7})), ev.GradRead(READ, frozenset({8}))),
        known=9,
    )
    habit.drop_first_reads(7)
    assert told(habit.events) == [("GradRead", {0})]
