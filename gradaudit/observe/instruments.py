"""What the doors to torch share: made once for a run."""

from __future__ import annotations

from dataclasses import dataclass

from gradaudit.ledger.ledger import Ledger
from gradaudit.observe.attendance import Attendance
from gradaudit.observe.backwards import Backwards
from gradaudit.observe.book import Book
from gradaudit.observe.care import Care
from gradaudit.observe.optimizers import Optimizers
from gradaudit.observe.probe import Probe
from gradaudit.observe.replicas import Replicas
from gradaudit.observe.sampling import Sampler
from gradaudit.observe.sites import SiteBook
from gradaudit.observe.watch import Watch


@dataclass(frozen=True, slots=True)
class Instruments:
    """The observers of one run, each of its kind."""

    care: Care
    sites: SiteBook
    ledger: Ledger
    watch: Watch
    optimizers: Optimizers
    book: Book
    probe: Probe
    backwards: Backwards
    replicas: Replicas
    sampler: Sampler
    attendance: Attendance
