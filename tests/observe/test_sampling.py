"""Samples of gradients: what is told of them, and when they are taken."""

from __future__ import annotations

import pytest
import torch

from gradaudit.model.events import Sampled
from gradaudit.observe.leaves import Leaves
from gradaudit.observe.sampling import Pace, Sampler


def pace() -> Pace:
    return Pace(0.03, lambda: 0.0)


class Sampling:
    def __init__(self, *tensors: torch.Tensor) -> None:
        self.told: list[Sampled] = []
        self.tensors = tensors
        self.leaves = Leaves(lambda _: None)
        self.numbers = [self.leaves.learn(tensor).number for tensor in tensors]
        self.sampler = Sampler(self.leaves, self.told.append, pace())

    def take(self) -> dict[int, tuple[float, bool, bool]]:
        """(norm, zero, nonfinite) of each leaf sampled."""
        self.told.clear()
        self.sampler.take(self.numbers, 7)
        self.sampler.tell()
        assert not self.sampler.waiting
        return {
            leaf: (norm, leaf in event.zero, leaf in event.nonfinite)
            for event in self.told
            for leaf, norm in zip(event.leaves, event.norms, strict=True)
        }


def parameter(*gradient: float, value: float = 1.0, dtype=torch.float32) -> torch.Tensor:
    tensor = torch.full((len(gradient),), value, dtype=dtype, requires_grad=True)
    tensor.grad = torch.tensor(gradient, dtype=dtype)
    return tensor


def test_norms_and_zeros():
    sampling = Sampling(parameter(3.0, 4.0), parameter(0.0, 0.0), torch.ones(2, requires_grad=True))
    assert sampling.take() == {0: (5.0, False, False), 1: (0.0, True, False)}


def test_what_is_tiny_is_not_zero_and_what_is_huge_is_finite():
    sampling = Sampling(parameter(1e-30), parameter(1e30), parameter(6e4, 6e4, dtype=torch.half))
    assert all(state[1:] == (False, False) for state in sampling.take().values())


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_nonfinite_is_told_where_the_step_has_used_it(bad):
    assert Sampling(parameter(bad, 1.0, value=bad)).take()[0][2]
    assert not Sampling(parameter(bad, 1.0)).take()[0][2]


def test_sparse_gradients_count_by_their_values():
    table = torch.nn.Embedding(5, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    sampling = Sampling(table.weight)
    norm, zero, nonfinite = sampling.take()[0]
    assert (round(norm, 4), zero, nonfinite) == (1.4142, False, False)


def test_subclasses_are_left_alone():
    class Own(torch.Tensor):
        pass

    tensor = torch.ones(2, requires_grad=True)
    tensor.grad = torch.ones(2).as_subclass(Own)
    assert Sampling(tensor).take() == {}


def test_no_random_number_is_drawn():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    Sampling(parameter(1.0), parameter(0.0)).take()
    assert torch.equal(before, torch.get_rng_state())


# -- when ----------------------------------------------------------------------------------------


def taken(pace: Pace, iterations: range, *, probing: bool = False) -> list[int]:
    return [iteration for iteration in iterations if pace.due(iteration, probing=probing)]


def test_every_probed_iteration_and_then_ever_fewer(monkeypatch):
    now = iter(range(10**6))
    monkeypatch.setattr("gradaudit.observe.sampling.monotonic", lambda: next(now))
    free = pace()
    assert taken(free, range(4), probing=True) == [0, 1, 2, 3]
    assert taken(free, range(4, 150)) == [
        4,
        5,
        6,
        7,
        8,
        10,
        12,
        15,
        18,
        22,
        27,
        33,
        41,
        51,
        63,
        78,
        97,
        121,
    ]


def test_every_step_of_a_sampled_iteration_is_sampled():
    free = pace()
    assert free.due(8, probing=False)
    assert free.due(8, probing=False)
    assert not free.due(9, probing=False)


@pytest.mark.parametrize(
    ("budget", "watching", "apart"),
    [
        (0.03, 0.0, 500),  # 1 %: samples never get more
        (0.03, 0.025, 1000),  # what watching leaves of the budget: 0.5 %
        (0.03, 0.5, 5000),  # nothing is left: 0.1 % all the same
        (0.002, 0.0, 2500),
    ],
)
def test_samples_get_what_the_budget_leaves_them(monkeypatch, budget, watching, apart):
    clock, spent = [0.0], [0.0]
    monkeypatch.setattr("gradaudit.observe.sampling.monotonic", lambda: clock[0])
    governed = Pace(budget, lambda: spent[0])
    found = []
    for iteration in range(20_000):
        clock[0] += 0.1
        spent[0] += 0.1 * watching
        if governed.due(iteration, probing=False):
            found.append(iteration)
            governed.cost(0.5)  # five iterations
            spent[0] += 0.5
    assert len(found) < 20_000 / apart + 8
    assert abs(found[-1] - found[-2] - apart) <= 2


def test_ranks_have_iterations_in_common_however_dear_samples_are(monkeypatch):
    sampled = []
    for cost in (0.0, 50.0):
        clock = [0.0]
        monkeypatch.setattr("gradaudit.observe.sampling.monotonic", lambda clock=clock: clock[0])
        governed = pace()
        governed.in_common = True
        found = []
        for iteration in range(4000):
            clock[0] += 0.1
            if governed.due(iteration, probing=False):
                found.append(iteration)
                governed.cost(cost)
        sampled.append(found)
    cheap, dear = map(set, sampled)
    assert len(dear) < len(cheap)
    assert cheap & dear >= {2**exponent for exponent in range(12)}
