"""What is known of optimizers, backwards and clearings besides the lives they touch."""

from __future__ import annotations

from dataclasses import dataclass, field

from gradaudit.ledger.stock import Entry
from gradaudit.ledger.tally import SiteTally
from gradaudit.model.events import Members
from gradaudit.model.sites import Site

#: How many backwards back it is remembered whether they were of use.
REMEMBERED = 1024


class Used:
    """The backwards, by number, some of whose contributions were applied or read."""

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers: dict[int, None] = {}  # in the order in which they were

    def __contains__(self, number: object) -> bool:
        return number in self._numbers

    def add(self, entry: Entry) -> None:
        """What an entry stands for was of use."""
        numbers = self._numbers
        for number in (entry.first, entry.last):
            numbers[number] = None
            if len(numbers) > REMEMBERED:
                del numbers[next(iter(numbers))]


@dataclass(slots=True, eq=False)
class OptimizerRecord:
    """What is known of one optimizer.

    ``members`` are all it ever had; ``off`` counts the steps while gradients were switched off,
    ``empty`` those that found nothing at all; ``began_empty`` is whether the first one did, before
    any backward.  ``last_step`` is the number of the backward before the last step; ``sources``
    are the backwards whose contributions it has applied, ``after`` those that came last before its
    steps.  Leaves numbered from ``horizon`` on were made after it was built.
    """

    site: Site | None
    members: Members
    groups: tuple[Members, ...] = ()
    steps: int = 0
    step_sites: dict[Site, int] = field(default_factory=dict)
    off: SiteTally = field(default_factory=SiteTally)
    empty: SiteTally = field(default_factory=SiteTally)
    began_empty: bool = False
    last_step: int = -1
    sources: set[Site] = field(default_factory=set)
    after: dict[Site, int] = field(default_factory=dict)
    horizon: int = 0


@dataclass(slots=True, eq=False)
class BackwardRecord:
    """What is known of the backwards of one call site.

    ``inputs_read`` counts the reads of what they left in tensors that no optimizer has; ``parts``
    are where parts of their roots had been backpropagated before.  ``asked`` is whether an
    optimizer asked for them all: they are those of a closure.
    """

    site: Site
    root: str | None
    count: int = 0
    failed: int = 0
    hopeless: int = 0
    evaluating: int = 0
    inputs_read: int = 0
    grad_mode_off: Site | None = None
    made: Site | None = None
    asked: bool = True
    parts: set[Site] = field(default_factory=set)

    @property
    def refused(self) -> bool:
        """Whether it failed because nothing that its roots were made from requires grad."""
        return bool(self.hopeless and self.failed) and self.grad_mode_off is None


@dataclass(slots=True, eq=False)
class ClearingRecord:
    """What is known of the clearings at one place; ``targets`` are all they were ever aimed at."""

    count: int
    targets: Members
