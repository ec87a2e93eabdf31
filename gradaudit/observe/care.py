"""The audit at work inside somebody else's program: what it costs, and what of it goes wrong."""

from __future__ import annotations

import sys
from contextlib import suppress
from time import perf_counter

from gradaudit.model.report import Gap

#: What the lives are made of: where the audit fails in one of them, they are not to be trusted.
_VITAL = frozenset({"a backward", "a step", "zero_grad", "the construction of an optimizer"})


class Care:
    """The audit's own clock, and the gaps it leaves."""

    def __init__(self) -> None:
        #: what it has cost until now
        self.seconds = 0.0
        #: whether the lives are not to be trusted
        self.broken = False
        self._gaps: dict[str, str] = {}
        self._guards: dict[str, Inside] = {}

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What was not followed, and why."""
        return tuple(Gap(what, why) for what, why in self._gaps.items())

    def gap(self, what: str, why: str) -> None:
        """Something is not followed; the first reason is kept."""
        self._gaps.setdefault(what, why)

    def inside(self, what: str) -> Inside:
        """A context for work of the audit's own: its time is counted, its failures become gaps."""
        guard = self._guards.get(what)
        if guard is None:
            guard = self._guards[what] = Inside(self, what)
        return guard

    def failed(self, what: str, error: Exception) -> None:
        """Something of the audit's own broke: say so once, record it, let the training go on."""
        problem = _described(error)
        if what not in self._gaps:
            _say(f"gradaudit: the audit failed in {what} ({problem}); the training goes on\n")
        self.gap(what, f"the audit failed inside: {problem}")
        self.broken = self.broken or what in _VITAL


class Inside:
    """A kind of work of the audit's own, not to be entered twice at a time.

    A generator would cost three times as much.
    """

    __slots__ = ("_began", "_care", "_what")

    def __init__(self, care: Care, what: str) -> None:
        self._care = care
        self._what = what

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> bool:
        self._care.seconds += perf_counter() - self._began
        if kind is not None and isinstance(error, Exception):  # TrainingStopped is none
            self._care.failed(self._what, error)
            return True
        return False


def _described(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # the user's own, raised by what we asked of an object of his
        return type(error).__name__


def _say(text: str) -> None:
    """Tell the user once, unless the script has closed or replaced what could be written to."""
    with suppress(Exception):
        sys.__stderr__.write(text)  # type: ignore[union-attr]
