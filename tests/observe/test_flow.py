"""Dataflow on hand-made nodes: no tensor, no graph."""

from __future__ import annotations

import gc
import weakref

from gradaudit.observe.flow import (
    UPDATE_DEPTH,
    Ancestry,
    Node,
    ancestry,
    comes_from_gradient,
    leaves_of,
)


def leaf(number: int, *, connected: bool = True) -> Node:
    node = Node("", None, (), connected=connected)
    node.leaf = number
    return node


def made(*parents: Node, connected: bool = True, operation: str = "add") -> Node:
    return Node(operation, None, parents, connected=connected)


def told(found: Ancestry) -> tuple[set[int], list[tuple[str, set[int]]]]:
    return set(found.leaves), [(cut.node.operation, set(cut.leaves)) for cut in found.cuts]


def test_a_connected_graph_has_leaves_and_no_cut():
    one, two = leaf(1), leaf(2)
    assert told(ancestry([made(made(one), two)])) == ({1, 2}, [])


def test_a_cut_knows_what_is_behind_it_and_where_that_was_made():
    hidden = made(leaf(1), leaf(2), operation="linear")
    cut = made(hidden, connected=False, operation="detach")
    found = ancestry([made(cut, leaf(3))])
    assert told(found) == ({1, 2, 3}, [("detach", {1, 2})])
    assert found.cuts[0].produced is hidden


def test_a_leaf_cut_off_directly_was_produced_nowhere():
    found = ancestry([made(made(leaf(1), connected=False), leaf(2))])
    assert found.cuts[0].produced is None


def test_what_follows_a_cut_is_no_further_cut():
    cut = made(leaf(1), connected=False, operation="item")
    after = made(made(cut, connected=False), connected=False)
    assert told(ancestry([after])) == ({1}, [("item", {1})])


def test_the_nearest_cut_comes_first():
    far = made(leaf(1), connected=False, operation="far")
    far = made(far, leaf(2), operation="between")
    near = made(far, connected=False, operation="near")
    assert [cut.node.operation for cut in ancestry([near]).cuts] == ["near", "far"]


def test_a_leaf_made_anew_from_connected_values_is_a_cut():
    anew = made(leaf(1), operation="requires_grad_")
    anew.leaf = 2
    assert told(ancestry([made(anew)])) == ({1, 2}, [("requires_grad_", {1})])


def test_values_that_do_not_require_grad_are_no_cut():
    data = made(connected=False)
    assert told(ancestry([made(made(data, connected=False), leaf(1))])) == ({1}, [])


def test_shared_values_are_visited_once():
    shared = leaf(0)
    for _ in range(200):  # 2 ** 200 ways through
        shared = made(shared, shared)
    cut = made(shared, connected=False)
    found = ancestry([cut, cut])
    assert told(found) == ({0}, [("add", {0})])


def test_long_chains_do_not_recurse():
    node = leaf(0)
    for _ in range(20_000):
        node = made(node)
    assert ancestry([node]).leaves == {0}
    assert leaves_of([node]) == {0}


def test_the_leaves_of_values_stop_at_a_cut():
    cut = made(leaf(1), connected=False)
    assert leaves_of([made(cut, leaf(2))]) == {2}


def test_an_update_comes_from_the_gradient_of_its_own_leaf():
    gradient = made(connected=False)
    gradient.gradient_of = 4
    update = made(made(gradient), leaf(4))
    assert comes_from_gradient([update], 4)
    assert not comes_from_gradient([update], 5)
    assert not comes_from_gradient([], 4)


def test_an_update_is_followed_so_far_and_no_further():
    def chain(length: int) -> Node:
        node = made()
        node.gradient_of = 1
        for _ in range(length):
            node = made(node)
        return node

    assert comes_from_gradient([chain(UPDATE_DEPTH - 1)], 1)
    assert not comes_from_gradient([chain(UPDATE_DEPTH + 10)], 1)


def test_an_ancestor_dies_with_its_last_descendant():
    class Site:
        co_filename = "train.py"

    site = Site()
    parent = Node("add", (site, 0), (), connected=True)  # type: ignore[arg-type]
    child = made(parent)
    watched = weakref.ref(site)
    del site, parent
    gc.collect()
    assert watched() is not None
    del child
    gc.collect()
    assert watched() is None
