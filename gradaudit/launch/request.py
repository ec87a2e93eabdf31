"""What the user asked for, and the one exception that says why it cannot be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gradaudit.model.findings import Severity
from gradaudit.model.run import Limits

#: The quietest severity that makes ``run`` exit with 1.
FailOn = Severity | Literal["never"]

_UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One ``gradaudit run``: ``target`` is a module's name if ``module``, else a script's path."""

    target: str
    module: bool = False
    args: tuple[str, ...] = ()
    json: str | None = None
    limits: Limits = _UNLIMITED
    fail_on: FailOn = "error"
    quiet: bool = False


class RequestError(Exception):
    """A request that cannot be met.  Its text is one sentence: what is wrong, and what to do."""
