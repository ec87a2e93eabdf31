from __future__ import annotations

from gradaudit.ledger.timeline import PERIODS
from gradaudit.model import events as ev
from gradaudit.model.findings import Span

from .story import Story, at


def trained(*leaves: int) -> Story:
    story = Story(*leaves)
    story.optimizer(0, *leaves)
    return story


def test_a_gradient_is_fresh_when_each_step_uses_one_contribution():
    story = trained(0)
    for _ in range(3):
        story.zero(0)
        story.backward(0)
        story.step()
    assert story.timeline(0) == [(0, 2, "fresh", 1)]
    life = story.ledger.life(0)
    assert (life.deposited.count, life.applied.count, life.stale.count) == (3, 3, 0)
    assert life.cleared.count == 2  # the first zero found nothing to clear
    assert not life.discarded
    assert not life.starved


def test_several_contributions_applied_together_are_accumulated():
    story = trained(0)
    for _ in range(2):
        for _ in range(4):
            story.backward(0)
        story.step()
        story.zero(0)
    assert story.timeline(0) == [(0, 1, "accumulated", 4)]
    assert not story.ledger.life(0).stale


def test_a_gradient_that_was_applied_and_is_added_to_is_stale_at_the_adding_backward():
    story = trained(0)
    for _ in range(4):
        story.backward(0)
        story.step()
    assert story.timeline(0) == [(0, 0, "fresh", 1), (1, 3, "stale", 1)]
    stale = story.ledger.life(0).stale
    assert stale.span() == Span(1, 3, 3)
    assert stale.main_site() is at("backward")


def test_clearing_after_the_step_ends_the_staleness():
    story = trained(0)
    story.backward(0)
    story.step()
    story.backward(0)
    story.step()
    story.zero(0)
    story.backward(0)
    story.step()
    assert [run[2] for run in story.timeline(0)] == ["fresh", "stale", "fresh"]


def test_only_the_first_backward_after_the_application_soils():
    story = trained(0)
    story.backward(0, line="one")
    story.step()
    story.backward(0, line="two")
    story.backward(0, line="three")
    story.step()
    assert story.end().life(0).stale.sites == {at("two"): 1}


def test_a_second_step_over_the_same_buffer_applies_again_and_is_not_stale():
    story = trained(0)
    story.backward(0)
    story.step()
    story.step(line="again")
    life = story.end().life(0)
    assert life.applied.count == 2
    assert not life.stale
    assert (life.held, life.spent) == (0, 1)


def test_cleared_before_the_step_is_discarded_and_the_step_starves():
    story = trained(0)
    for _ in range(3):
        story.backward(0)
        story.zero(0)
        story.step()
    assert story.timeline(0) == [(0, 2, "discarded", 1)]
    life = story.ledger.life(0)
    assert life.discarded.count == 3
    assert life.missing.count == 3
    assert not life.applied
    assert {key: tally.sites for key, tally in life.starved.items()} == {
        (False, True): {at("zero"): 3}
    }


def test_zeros_starve_a_step_as_none_does():
    story = trained(0)
    story.backward(0)
    story.zero(0, to_none=False)
    story.step()
    life = story.end().life(0)
    assert life.missing.count == 1
    assert life.starved[False, True].main_site() is at("zero")


def test_starving_tells_a_part_of_the_optimizer_from_all_of_it_and_hand_from_method():
    story = trained(0, 1)
    story.backward(0, 1)
    story.zero(0, by_hand=True)
    story.step()
    assert list(story.end().life(0).starved) == [(True, False)]
    assert not story.ledger.life(1).starved


def test_one_wipe_starves_one_step_only():
    story = trained(0)
    story.backward(0)
    story.zero(0)
    story.step()
    story.step(line="again")
    life = story.end().life(0)
    assert life.missing.count == 2
    assert life.starved[False, True].count == 1


def test_a_backward_between_wipe_and_step_saves_the_step():
    story = trained(0)
    story.backward(0)
    story.zero(0)
    story.backward(0, line="second")
    story.step()
    life = story.end().life(0)
    assert not life.starved
    assert life.discarded.count == 1
    assert story.timeline(0) == [(0, 0, "fresh", 1)]


def test_clearing_what_was_applied_already_discards_nothing():
    story = trained(0)
    story.backward(0)
    story.step()
    story.zero(0)
    assert not story.end().life(0).discarded


def test_held_at_the_end_of_an_iteration_is_unapplied():
    story = Story(0, 1)
    story.optimizer(0, 0)
    for _ in range(3):
        story.zero(0)
        story.backward(0, 1)
        story.step()
    assert story.timeline(1) == [(0, 2, "unapplied", 1)]
    assert story.ledger.life(1).held == 3


def test_a_leaf_that_nothing_reaches_is_none_and_a_frozen_one_is_frozen():
    story = Story(0, 1, 2, frozen=(2,))
    story.optimizer(0, 0, 1, 2)
    for _ in range(2):
        story.zero(0, 1, 2)
        story.backward(0)
        story.step()
    assert story.timeline(1) == [(0, 1, "none", 0)]
    assert story.timeline(2) == [(0, 1, "frozen", 0)]
    assert story.ledger.life(1).missing.count == 2


def test_thawing_ends_the_frozen_stretch():
    story = Story(0, 1, frozen=(1,))
    story.optimizer(0, 0, 1)
    for iteration in range(4):
        if iteration == 2:
            story.zero(0, 1)
            story.ledger.feed(ev.RequiresGradSet(at("thaw"), frozenset({1}), value=True))
        else:
            story.zero(0, 1)
        story.backward(0, *([1] if iteration >= 2 else []))
        story.step()
    assert story.timeline(1) == [(0, 1, "frozen", 0), (2, 3, "fresh", 1)]
    assert story.ledger.evidence[1].requires_grad


def test_a_leaf_born_late_was_none_before():
    story = trained(0)
    for iteration in range(3):
        story.zero(0)
        if iteration == 2:
            story.born(1)
        story.backward(0, *([1] if iteration == 2 else []))
        story.step()
    assert story.timeline(1) == [(0, 1, "none", 0), (2, 2, "unapplied", 1)]


def test_an_assigned_gradient_owes_nothing_to_the_old_buffer():
    story = trained(0)
    for _ in range(3):
        story.backward(0)
        story.assign(0)
        story.step()
    life = story.end().life(0)
    assert not life.stale
    assert life.assigned == 3


def test_decaying_a_spent_gradient_keeps_it_on_purpose_but_clipping_does_not():
    for clipped, stale in ((False, 0), (True, 3)):
        story = trained(0)
        for _ in range(4):
            story.backward(0)
            story.step()
            story.rescale(0, clipped=clipped)
        assert story.end().life(0).stale.count == stale


def test_an_update_by_hand_applies_and_knows_its_line():
    story = Story(0)
    for _ in range(3):
        story.backward(0)
        story.update(0)
        story.zero(0, by_hand=True)
    life = story.end().life(0)
    assert life.applied.count == 3
    assert life.updated.sites == {at("update"): 3}
    assert story.timeline(0) == [(0, 2, "fresh", 1)]


def test_an_update_of_nothing_is_none():
    story = Story(0)
    story.update(0)
    life = story.end().life(0)
    assert not life.applied
    assert not life.updated


def test_reading_every_sum_is_a_stale_read_at_the_adding_backward():
    story = Story(0)
    for _ in range(3):
        story.backward(0)
        story.read(0)
    life = story.end().life(0)
    assert life.was_read.count == 3
    assert life.stale_read.sites == {at("backward"): 2}


def test_reading_between_clearings_is_never_stale():
    story = Story(0)
    for _ in range(3):
        story.backward(0)
        story.read(0)
        story.read(0, line="again")
        story.zero(0, by_hand=True)
    life = story.end().life(0)
    assert not life.stale_read
    assert not life.discarded  # what the user wanted was taken before it was cleared


def test_contributions_summed_before_the_first_read_are_no_stale_read():
    story = Story(0)
    for _ in range(2):
        story.backward(0)
        story.backward(0, line="second")
        story.read(0)
        story.zero(0, by_hand=True)
    assert not story.end().life(0).stale_read


def test_a_failed_backward_counts_as_such():
    story = Story(0)
    story.backward(failed=True)
    record = story.end().backwards[at("backward")]
    assert (record.count, record.failed) == (1, 1)
    assert not story.ledger.life(0).deposited


def test_closing_twice_ends_the_run_once():
    story = trained(0)
    story.backward(0)
    story.step()
    story.ledger.close()
    before = list(story.ledger.life(0).timeline)
    story.ledger.close()
    assert list(story.ledger.life(0).timeline) == before


def test_counts_know_the_line():
    story = trained(0)
    for _ in range(2):
        story.zero(0)
        story.backward(0)
        story.step()
    ledger = story.end()
    assert (ledger.backward_calls, ledger.optimizer_steps, ledger.zero_grad_calls) == (2, 2, 2)
    assert ledger.counts == {
        ("zero_grad", at("zero")): 2,
        ("backward", at("backward")): 2,
        ("step", at("step")): 2,
    }
    assert ledger.optimizers[0].step_sites == {at("step"): 2}


def test_a_fresh_iteration_of_a_loop_that_steps_first_has_one_contribution():
    story = trained(0)
    for _ in range(4):
        story.step()
        story.zero(0)
        story.backward(0)
    assert story.timeline(0) == [(0, 0, "unapplied", 1), (1, 3, "fresh", 1)]


def test_a_tally_never_ends_before_it_begins():
    story = Story(0, 1)
    for iteration in range(6):
        story.backward(0, *([1] if iteration >= 4 else []))
        story.zero(0, 1, by_hand=True)
    story.optimizer(0, 0)
    for _ in range(2):
        story.zero(0, line="zero train")
        story.backward(0, 1, line="train")
        story.step()
    ledger = story.end()
    assert ledger.iterations == 2
    span = ledger.life(1).deposited.span()
    assert span is not None
    assert span.first <= span.last < 2


def inherited(*leaves: int) -> Story:
    """Leaves whose gradients were there before anybody looked."""
    story = Story()
    for leaf in leaves:
        story.ledger.feed(ev.LeafSeen(leaf, "parameter", requires_grad=True, holding=True))
        story.filled.add(leaf)
    story.optimizer(0, *leaves)
    return story


def test_a_step_uses_a_gradient_that_was_there_before_anybody_looked():
    story = inherited(0)
    story.step()
    assert story.timeline(0) == [(0, 0, "fresh", 1)]
    life = story.ledger.life(0)
    assert (life.applied.count, life.missing.count, life.deposited.count) == (1, 0, 0)
    assert story.ledger.evidence[0].fed_before


def test_what_was_there_is_no_stale_gradient_until_it_is_seen_to_be_applied():
    story = inherited(0)
    story.backward(0)
    story.step()
    assert not story.ledger.life(0).stale
    story.backward(0)
    story.step()
    assert story.ledger.life(0).stale.count == 1


def test_clearing_what_was_there_loses_nothing():
    story = inherited(0)
    story.zero(0)
    story.step()
    life = story.ledger.life(0)
    assert not life.discarded
    assert not life.starved
    assert life.missing.count == 1


def test_what_was_there_and_stays_is_unapplied():
    story = inherited(0, 1)
    story.zero(0)
    story.backward(0)
    story.step()
    assert story.timeline(1) == [(0, 0, "fresh", 1)]
    story = inherited(0)
    story.backward(line="elsewhere")
    assert story.timeline(0) == [(0, 0, "unapplied", 0)]


def test_a_timeline_that_changes_without_end_stays_bounded():
    story = Story(0, 1)
    story.optimizer(0, 0, 1)
    for number in range(3 * PERIODS):
        story.zero(0, 1)
        story.backward(*((0, 1) if number % 3 == 0 else (1,)))
        story.step()
    story.end()
    timeline = list(story.ledger.life(0).timeline)
    assert len(timeline) <= PERIODS
    assert [run.first for run in timeline] == [0, *(run.last + 1 for run in timeline[:-1])]
    assert timeline[-1].last == 3 * PERIODS - 1
    assert timeline[0].mixed
    assert timeline[0].state == "none"
    assert not timeline[-1].mixed
    assert len(list(story.ledger.life(1).timeline)) == 1
