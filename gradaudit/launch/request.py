"""What the user asked for, and the one exception that says why it cannot be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradaudit.model.findings import Severity
from gradaudit.model.run import Limits
from gradaudit.render.checkout import Checkout
from gradaudit.render.documents import Document
from gradaudit.taming.threshold import FailOn, loud

if TYPE_CHECKING:
    from gradaudit.taming.tame import Decisions

_UNLIMITED, _NOWHERE = Limits(), Checkout()


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One ``gradaudit run``: ``target`` is a module's name if ``module``, else a script's path."""

    target: str
    module: bool = False
    args: tuple[str, ...] = ()
    documents: tuple[Document, ...] = ()
    limits: Limits = _UNLIMITED
    fail_on: FailOn = "error"
    fail_fast: bool = False
    quiet: bool = False
    github: bool = False
    checkout: Checkout = _NOWHERE
    decisions: Decisions | None = None

    @property
    def failing(self) -> tuple[Severity, ...]:
        """The severities of findings that make the run fail."""
        return loud(self.fail_on)


class RequestError(Exception):
    """A request that cannot be met.  Its text is one sentence: what is wrong, and what to do."""
