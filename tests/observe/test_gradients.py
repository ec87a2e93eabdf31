"""What became of ``.grad`` of real, tiny tensors, and who keeps them alive."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from gradaudit.model.events import LeafSeen
from gradaudit.observe.gradients import ABSENT, NOTHING, Gradients, Mark
from gradaudit.observe.leaves import ROOM, Leaf, Leaves


class Watched:
    def __init__(self, *tensors: torch.Tensor) -> None:
        self.told: list[LeafSeen] = []
        self.leaves = Leaves(self.told.append)
        self.gradients = Gradients(self.leaves.members)
        for tensor in tensors:
            self.track(tensor)

    def track(self, tensor: torch.Tensor) -> Leaf:
        leaf = self.leaves.learn(tensor)
        self.gradients.track(leaf)
        return leaf

    def marks(self) -> dict[int, Mark]:
        changes = self.gradients.look()
        assert changes.left == {leaf for leaf, mark in changes.marks.items() if mark != "emptied"}
        return changes.marks


@pytest.fixture
def w() -> torch.Tensor:
    return torch.ones(2, requires_grad=True)


def test_a_backward_fills_and_the_next_one_changes(w: torch.Tensor):
    watched = Watched(w)
    assert watched.gradients.look() is NOTHING
    w.sum().backward()
    assert watched.marks() == {0: "filled"}
    assert watched.gradients.look() is NOTHING
    w.sum().backward()
    assert watched.marks() == {0: 1}


def test_none_empties_and_zero_changes(w: torch.Tensor):
    watched = Watched(w)
    w.sum().backward()
    watched.gradients.look()
    w.grad.zero_()
    assert watched.marks() == {0: 1}
    w.grad = None
    assert watched.marks() == {0: "emptied"}


def test_an_assigned_gradient_replaces(w: torch.Tensor):
    watched = Watched(w)
    w.sum().backward()
    watched.gradients.look()
    old = w.grad
    w.grad = torch.zeros(2)
    assert watched.marks() == {0: "replaced"}
    assert old is not w.grad


def test_only_what_changed_is_told():
    one, two = (torch.ones(1, requires_grad=True) for _ in range(2))
    watched = Watched(one, two)
    two.sum().backward()
    assert watched.marks() == {1: "filled"}


def test_a_leaf_tracked_late_starts_from_what_it_has(w: torch.Tensor):
    w.sum().backward()
    watched = Watched()
    leaf = watched.track(w)
    assert watched.gradients.look() is NOTHING
    assert watched.gradients.state(leaf.number) == (id(w.grad), w.grad._version)
    assert leaf in watched.gradients


def test_equal_patterns_of_changes_are_one_whatever_the_addresses():
    tensors = [torch.ones(1, requires_grad=True) for _ in range(3)]
    watched = Watched(*tensors)
    patterns = []
    for _ in range(2):
        for loss in (sum(tensors), sum(tensors[:2]), sum(tensors)):
            loss.backward()
            patterns.append(watched.gradients.look())
        for tensor in tensors:
            tensor.grad = None
        watched.gradients.assume_empty(frozenset({0, 1, 2}))
    assert patterns[:3] == patterns[3:]
    assert [changes.left for changes in patterns[:3]] == [{0, 1, 2}, {0, 1}, {0, 1, 2}]


def test_a_pattern_that_looks_alike_with_more_leaves_is_another(w: torch.Tensor):
    watched = Watched(w)
    w.sum().backward()
    before = watched.gradients.look()
    watched.gradients.assume_empty(frozenset({0}))
    w.grad = None
    other = torch.ones(1, requires_grad=True)
    watched.track(other)
    (w.sum() + other).backward()
    assert before.marks == {0: "filled"}
    assert watched.marks() == {0: "filled", 1: "filled"}
    assert watched.gradients.holding(frozenset({0, 1})) == {0, 1}


def test_tracking_twice_is_tracking_once(w: torch.Tensor):
    watched = Watched(w, w)
    assert len(watched.gradients) == 1


@pytest.mark.parametrize("numbers", [frozenset({0}), frozenset({0, 1}), frozenset({0, 1, 99})])
def test_a_clearing_that_was_seen_spares_the_look(numbers: frozenset[int]):
    tensors = [torch.ones(1, requires_grad=True) for _ in range(2)]
    watched = Watched(*tensors)
    sum(tensors).backward()
    watched.gradients.look()
    for number in numbers & {0, 1}:
        tensors[number].grad = None
    watched.gradients.assume_empty(numbers)
    assert watched.gradients.look() is NOTHING
    assert watched.gradients.state(0) == ABSENT
    assert watched.gradients.holding(frozenset({0, 1})) == {0, 1} - numbers


def test_what_was_assumed_empty_and_is_not_is_found_out(w: torch.Tensor):
    watched = Watched(w)
    w.sum().backward()
    watched.gradients.look()
    watched.gradients.assume_empty(frozenset({0}))
    assert watched.marks() == {0: "filled"}


def test_holding_speaks_of_the_last_look_and_of_tracked_leaves(w: torch.Tensor):
    watched = Watched(w)
    w.sum().backward()
    assert watched.gradients.holding(frozenset({0})) == frozenset()
    watched.gradients.look()
    assert watched.gradients.holding(frozenset({0, 7})) == {0}


def test_the_dead_are_dropped_and_the_others_keep_their_state(w: torch.Tensor):
    first = torch.ones(1, requires_grad=True)
    watched = Watched(first, w)
    (first.sum() + w.sum()).backward()
    watched.gradients.look()
    del first
    gc.collect()
    watched.gradients.look()
    w.sum().backward()
    assert watched.marks() == {1: 1}
    assert len(watched.gradients) == 1


def test_a_look_at_the_dead_leaves_alone_what_only_the_graph_holds():
    dying = torch.ones(1, requires_grad=True)
    held = torch.full((1,), 3.0, requires_grad=True)
    watched = Watched(dying, held)
    result = held.square()
    address = id(held)
    del dying, held
    for _ in range(3):
        watched.gradients.look()
    again = result.grad_fn.next_functions[0][0].variable
    assert id(again) == address
    result.backward()
    assert again.grad == 6
    assert watched.marks() == {1: "filled"}


# -- leaves --------------------------------------------------------------------------------------


def test_leaves_are_held_weakly():
    watched = Watched(torch.nn.Parameter(torch.ones(3)))
    gc.collect()
    assert watched.leaves.alive() == []
    assert 0 not in watched.leaves  # nothing ever happened to it


def test_a_module_in_the_register_dies_as_it_would_have():
    module = torch.nn.Linear(2, 2)
    watched = Watched(*module.parameters())
    module(torch.ones(1, 2)).sum().backward()
    watched.gradients.look()
    references = [weakref.ref(parameter) for parameter in module.parameters()]
    gradients = [weakref.ref(parameter.grad) for parameter in module.parameters()]
    del module
    gc.collect()
    assert [reference() for reference in references + gradients] == [None] * 4


def test_numbers_are_never_used_again():
    leaves = Leaves(lambda _: None)
    numbers = []
    for _ in range(5):
        tensor = torch.ones(1, requires_grad=True)
        numbers.append(leaves.learn(tensor).number)
        del tensor
    assert numbers == [0, 1, 2, 3, 4]


def test_a_leaf_that_was_told_of_is_remembered_after_its_death():
    watched = Watched()
    tensor = torch.nn.Parameter(torch.ones(2, 3))
    number = watched.leaves.tell(watched.leaves.learn(tensor))
    del tensor
    gc.collect()
    assert number in watched.leaves
    assert watched.leaves[number].shape == (2, 3)
    assert watched.leaves.alive() == []


def test_the_ledger_hears_of_a_leaf_once():
    watched = Watched()
    tensor = torch.ones(2, requires_grad=True)
    for _ in range(3):
        watched.leaves.tell(watched.leaves.learn(tensor))
    (event,) = watched.told
    assert (event.leaf, event.kind, event.requires_grad) == (0, "tensor", True)


def test_a_leaf_is_told_as_it_is_and_not_as_it_was_learnt():
    watched = Watched()
    parameter = torch.nn.Parameter(torch.ones(2))
    leaf = watched.leaves.learn(parameter)
    parameter.requires_grad = False
    watched.leaves.tell(leaf)
    (event,) = watched.told
    assert (event.kind, event.requires_grad) == ("parameter", False)


def test_the_very_tensor_counts_and_not_an_equal_one(w: torch.Tensor):
    watched = Watched(w)
    assert watched.leaves.find(w).number == 0
    assert watched.leaves.find(w.detach()) is None
    assert watched.leaves.learn(w) is watched.leaves.find(w)


def test_equal_sets_of_members_are_one_object():
    leaves = Leaves(lambda _: None)
    assert leaves.members([1, 2]) is leaves.members({2, 1})
    assert leaves.members([1]) is not leaves.members([2])


def test_sets_that_are_ever_new_do_not_pile_up():
    leaves = Leaves(lambda _: None)
    let_go: list[None] = []
    leaves.let_go = lambda: let_go.append(None)
    size = ROOM // 100
    first = leaves.members(range(size))
    for start in range(1, 300):
        members = leaves.members(range(start, start + size))
        assert members == frozenset(range(start, start + size))
    assert let_go
    kept = sum(map(len, leaves._interned))
    assert kept <= ROOM
    assert leaves.members(range(size)) == first


def test_lazy_parameters_have_no_shape_until_they_do():
    watched = Watched()
    module = torch.nn.LazyLinear(3)
    leaf = watched.leaves.learn(module.weight)
    assert (leaf.shape, leaf.numel) == ((), 0)
    module(torch.ones(1, 2))
    watched.leaves.tell(leaf)
    assert (leaf.shape, leaf.numel) == ((3, 2), 6)
