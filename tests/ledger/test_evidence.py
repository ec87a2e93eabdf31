from __future__ import annotations

from gradaudit.ledger.evidence import KEPT
from gradaudit.model import events as ev

from .story import Story, at

ONE = frozenset({0})


def cut(line: str) -> ev.Severed:
    return ev.Severed(at(line), "detach", "detach", ONE, at("backward"))


def none_read(line: str, leaf: int | None = 0) -> ev.NoneRead:
    return ev.NoneRead(at(line), leaf, "w", "not-reached", None)


def test_of_many_cuts_the_first_few_places_are_kept():
    story = Story(0)
    for line in range(3 * KEPT):
        story.ledger.feed(cut(f"cut {line}"))
    assert [known.site for known in story.ledger.evidence[0].severed] == [
        at(f"cut {line}") for line in range(KEPT)
    ]


def test_the_same_cut_is_kept_once():
    story = Story(0)
    for _ in range(5):
        story.ledger.feed(cut("cut"))
    assert len(story.ledger.evidence[0].severed) == 1


def test_of_many_reads_the_first_few_places_are_kept():
    story = Story(0)
    for line in range(3 * KEPT):
        story.ledger.feed(none_read(f"read {line % (2 * KEPT)}"))
    assert [known.site for known in story.ledger.evidence[0].none_reads] == [
        at(f"read {line}") for line in range(KEPT)
    ]


def test_reads_of_what_is_no_leaf_are_capped_too():
    story = Story(0)
    for line in range(20 * KEPT):
        story.ledger.feed(none_read(f"read {line}", None))
        story.ledger.feed(none_read(f"read {line}", None))
    assert len(story.ledger.evidence.non_leaf_reads) == 8 * KEPT
    assert len({id(read.site) for read in story.ledger.evidence.non_leaf_reads}) == 8 * KEPT


def test_the_first_use_and_the_last_lost_loss_are_kept():
    story = Story(0)
    for line in ("first", "second"):
        story.ledger.feed(ev.Entered(at(line), ONE))
        story.ledger.feed(ev.LossLeft(at(line), ONE))
    evidence = story.ledger.evidence[0]
    assert evidence.entered is at("first")
    assert evidence.loss_left is not None
    assert evidence.loss_left.site is at("second")


def test_freezing_keeps_its_line():
    story = Story(0, 1)
    story.ledger.feed(ev.RequiresGradSet(at("freeze"), frozenset({0, 1}), value=False))
    story.ledger.feed(ev.RequiresGradSet(at("thaw"), frozenset({1}), value=True))
    frozen, thawed = story.ledger.evidence[0], story.ledger.evidence[1]
    assert (frozen.frozen_at, frozen.requires_grad) == (at("freeze"), False)
    assert (thawed.frozen_at, thawed.requires_grad) == (at("freeze"), True)
    assert story.ledger.life(0).frozen
    assert not story.ledger.life(1).frozen


def test_a_leaf_is_learnt_once():
    story = Story(0)
    story.backward(0)
    story.born(0)
    assert story.ledger.life(0).held == 1


def test_members_an_optimizer_lost_stay_known():
    story = Story(0, 1)
    story.optimizer(0, 0)
    story.optimizer(0, 1)
    assert story.ledger.optimizers[0].members == {0, 1}
