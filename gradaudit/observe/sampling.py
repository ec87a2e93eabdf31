"""Samples how large gradients are, at steps: often at first, then as a small budget allows.

Whatever is computed is computed on the gradient's own device, and fetched when it is there: at
once on a CPU, at a later step elsewhere, so that no iteration waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf, isfinite
from time import monotonic, perf_counter

import torch

from gradaudit.model.events import Members, Sampled
from gradaudit.observe.leaves import Leaves, strong
from gradaudit.observe.magnitude import Fetched, largest, measurable, undisturbed

#: The largest and the smallest share of the run's time that samples may take behind the probe,
#: whatever else of the audit's budget is used up.
_MOST, _LEAST = 0.01, 0.001

#: The longest stretch between two samples, in iterations, unless the budget asks for a longer one.
_STRETCH = 32

#: A stretch is at most this part of the iterations before it: whenever a run ends, its last sample
#: was taken not long before.
_PART = 4

#: How many samples may be on their way; a device that is so far behind is waited for.
_UNDER_WAY = 8


class Pace:
    """In which iterations samples are taken: the governor of what the audit costs.

    States are seen in every iteration, whatever that costs; ``spent`` tells the seconds.  Samples
    get what that leaves of ``budget``, a share of the run's time behind the probe.  With
    ``in_common`` powers of two are among them, whatever the budget says: all ranks sample them,
    and can be compared there.
    """

    def __init__(self, budget: float, spent: Callable[[], float]) -> None:
        self._budget = budget
        self._spent = spent
        self._current = -1
        self._next = 0
        self._stretch = 1
        self._since = (0, monotonic(), spent())
        self._cost = 0.0
        self.in_common = False

    def due(self, iteration: int, *, probing: bool) -> bool:
        """Whether steps of this iteration are to be sampled."""
        if iteration == self._current:
            return True
        if iteration < self._next and not probing and iteration > self._current:
            if not self.in_common or iteration & (iteration - 1):
                return False
            self._current = iteration
            return True
        self._current = iteration
        if probing:
            self._stretch, self._cost = 1, 0.0
            self._since = (iteration, monotonic(), self._spent())
            self._next = iteration + 1
        else:
            self._next = iteration + self._ahead(iteration)
        return True

    def cost(self, seconds: float) -> None:
        """A sample has taken some time."""
        self._cost += seconds

    def _ahead(self, iteration: int) -> int:
        """Iterations until the next sample: ever more, and more where samples are dear."""
        since, then, before = self._since
        now, spent = monotonic(), self._spent()
        passed, elapsed = iteration - since, now - then
        self._since = (iteration, now, spent)
        self._stretch = min(2 * self._stretch, _STRETCH, max(iteration // _PART, 1))
        needed = 0.0
        if passed > 0 and elapsed > 0:
            watching = max(spent - before - self._cost, 0.0) / elapsed
            share = max(_LEAST, min(_MOST, self._budget - watching))
            needed = self._cost / share / (elapsed / passed)
        self._cost = 0.0
        return max(self._stretch, int(needed))


@dataclass(slots=True, eq=False)
class _Sample:
    """Norms of the gradients that one step was given; ``exact`` where a norm may deceive."""

    iteration: int
    leaves: list[int]
    norms: list[float]
    exact: dict[int, float]
    fetched: Fetched | None = None

    @property
    def ready(self) -> bool:
        return self.fetched is None or self.fetched.arrived

    def fetch(self) -> None:
        if self.fetched is not None:
            numbers = self.fetched.take()
            self.fetched = None
            count = len(self.leaves)
            self.norms = numbers[:count]
            self.exact = dict(zip(self.leaves, numbers[count:], strict=True))


class Sampler:
    """Takes samples and tells of them."""

    def __init__(self, leaves: Leaves, tell: Callable[[Sampled], None], pace: Pace) -> None:
        self._leaves = leaves
        self._tell = tell
        #: what there is to be told
        self.waiting: list[_Sample] = []
        self.pace = pace

    def take(self, members: Iterable[int], iteration: int) -> None:
        """A step is about to use the gradients of its members."""
        began = perf_counter()
        if undisturbed():
            for found in self._by_device(members).values():
                self.waiting.append(_sample(found, iteration))
        self.pace.cost(perf_counter() - began)

    def _by_device(
        self, members: Iterable[int]
    ) -> dict[tuple[torch.device, torch.dtype], dict[int, torch.Tensor]]:
        groups: dict[tuple[torch.device, torch.dtype], dict[int, torch.Tensor]] = {}
        for number in members:
            tensor = strong(self._leaves[number].reference)
            gradient = None if tensor is None else tensor.grad
            if gradient is not None and gradient.layout is torch.sparse_coo:
                gradient = gradient._values()
            if gradient is not None and measurable(gradient):
                groups.setdefault((gradient.device, gradient.dtype), {})[number] = gradient
        return groups

    def tell(self, *, last: bool = False) -> None:
        """The step has run: tell of what is known by now; ``last`` of everything."""
        began = perf_counter()
        while self.waiting:
            sample = self.waiting[0]
            if not (last or sample.ready or len(self.waiting) > _UNDER_WAY):
                break
            del self.waiting[0]
            sample.fetch()
            self._tell(self._event(sample))
        self.pace.cost(perf_counter() - began)

    def _event(self, sample: _Sample) -> Sampled:
        members = self._leaves.members
        spoilt = {leaf for leaf, value in sample.exact.items() if not isfinite(value)}
        return Sampled(
            sample.iteration,
            tuple(sample.leaves),
            tuple(sample.norms),
            members(leaf for leaf, value in sample.exact.items() if value == 0),
            members(spoilt) if spoilt and self._used(spoilt) else members(()),
        )

    def _used(self, spoilt: Members | set[int]) -> bool:
        """Whether the step has used what was not finite, and not left it out by itself.

        Fused optimizers are handed the scaler's ``found_inf`` and decide on the device (torch
        2.13), and optimizers of the user's own may look for themselves.
        """
        for number in spoilt:
            tensor = strong(self._leaves[number].reference)
            if tensor is None or not measurable(tensor):
                return True
            if not isfinite(float(largest(tensor))):
                return True
        return False


def _sample(found: dict[int, torch.Tensor], iteration: int) -> _Sample:
    """Two norms: a sum of squares may overflow or underflow, the largest magnitude never does."""
    gradients = list(found.values())
    leaves = list(found)
    norms = list(torch._foreach_norm(gradients, 2))
    if gradients[0].is_cpu:
        values = torch.stack(norms).tolist()
        exact = {
            leaf: float(largest(gradient))
            for (leaf, gradient), value in zip(found.items(), values, strict=True)
            if value == 0 or not isfinite(value)
        }
        return _Sample(iteration, leaves, values, exact)
    return _Sample(
        iteration, leaves, [], {}, Fetched([*norms, *torch._foreach_norm(gradients, inf)])
    )
