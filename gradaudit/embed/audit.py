"""``with gradaudit.audit() as audit: …``, and what it offers when the block is over."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from gradaudit.embed import assertions
from gradaudit.embed.block import Block
from gradaudit.embed.notebook import show_reports
from gradaudit.embed.place import AuditError, Place
from gradaudit.model.findings import Finding
from gradaudit.model.report import Report
from gradaudit.model.run import Limits, RunFacts
from gradaudit.rules.lookup import UnknownRule
from gradaudit.taming.settings import Settings, codes_of
from gradaudit.taming.threshold import FailOn

if TYPE_CHECKING:
    import torch
    from typing_extensions import Self


def audit(
    *,
    select: str | Iterable[str] = (),
    ignore: str | Iterable[str] = (),
    max_iterations: int | None = None,
) -> Audit:
    """Audit the gradients of a block of a program.

    ``select`` and ``ignore`` name rules by code or name, as ``gradaudit run`` does.  After
    ``max_iterations`` the block is left, and the program goes on behind it.
    """
    if max_iterations is not None and max_iterations < 1:
        raise ValueError(f"max_iterations is {max_iterations}; it has to be 1 or more")
    settings = Settings(
        select=_codes(select), ignore=_codes(ignore), source="the arguments of the audit"
    )
    show_reports()
    return Audit(settings, Limits(max_iterations))


class Audit:
    """The audit of one block: a context manager, and afterwards the report with all it is good for.

    Only one can be under way at a time.  Under ``gradaudit run`` a block records nothing of its
    own: the run's report tells of it.
    """

    def __init__(self, settings: Settings, limits: Limits) -> None:
        self._settings = settings
        self._block = Block(limits)
        self._report: Report | None = None

    # -- the block -------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.begin(Place.of(sys._getframe(1)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self.end(error)
        return self._block.stopped_by(error)

    def begin(self, place: Place) -> None:
        """Begin where no ``with`` can be written; ``place`` is what the report calls the block."""
        self._block.begin(place)

    def end(self, error: BaseException | None = None) -> None:
        """End it, unless that has been done; ``error`` is what the block was left by."""
        if self.under_way:
            from gradaudit.rules.assemble import assemble

            facts = self._block.end(error)
            try:
                self._report = self._judged(facts)
            except Exception as problem:  # the program goes on, whatever breaks in us
                self._report = assemble(None, self._block.give_up(facts, problem))

    def _judged(self, facts: RunFacts) -> Report:
        from gradaudit.rules.assemble import assemble
        from gradaudit.taming.tame import Decisions, tame

        report = assemble(self._block.recording, facts)
        comments = tuple(self._block.comments_about(report))
        return tame(report, Decisions(self._settings, comments))

    @property
    def under_way(self) -> bool:
        """Whether it was begun and not yet ended."""
        return self._block.state == "running"

    # -- what was found --------------------------------------------------------------------------

    @property
    def report(self) -> Report:
        """The report, as ``gradaudit run --json`` writes it."""
        if self._report is None:
            when = "is still under way" if self.under_way else "was never begun"
            raise AuditError(f"The audit {when}: there is a report when its block is over.")
        return self._report

    def _recorded(self) -> Report:
        """The report, unless the audit broke: then nothing can be asserted."""
        if self._block.broken:
            raise AuditError(f"{self._block.title} was not recorded: {self._block.unrecorded}.")
        return self.report

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings, the gravest first."""
        return self.report.findings

    def assert_clean(self, fail_on: FailOn = "error") -> None:
        """Raise ``AssertionError`` with the findings that are as severe as this, or more.

        Inside the block it ends the audit.
        """
        __tracebackhide__ = True
        self.end()
        assertions.assert_clean(self._recorded(), fail_on)

    def assert_gradients_arrive(self, module: torch.nn.Module) -> None:
        """Raise ``AssertionError`` unless all that is trainable in a module received a gradient.

        It says which parameters did not, why, and at which line.  Inside the block it ends the
        audit.
        """
        __tracebackhide__ = True
        self.end()
        assertions.assert_gradients_arrive(self._recorded(), self._block, module)

    # -- how it shows ----------------------------------------------------------------------------

    def __repr__(self) -> str:
        if self._report is None:
            return f"<gradaudit audit, {self._block.state}>"
        from gradaudit.render.words import verdict

        said = verdict(self._report)
        return f"<gradaudit audit of {self._report.run.target}: {said.headline}: {said.told}>"

    def __str__(self) -> str:
        if self._report is None:
            return repr(self)
        from gradaudit.render.plain import plain_report

        return plain_report(self._report)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Show the whole report where a notebook or IPython shows the last value of a cell."""
        page = self._repr_html_()
        return {"text/plain": str(self)} | ({} if page is None else {"text/html": page})

    def _repr_html_(self) -> str | None:
        """Show the page of ``gradaudit run --html`` in a frame of its own, once there is one."""
        if self._report is None:
            return None
        from gradaudit.render.notebook import notebook_frame

        return notebook_frame(self._report)


def _codes(rules: str | Iterable[str]) -> tuple[str, ...]:
    try:
        return codes_of([rules] if isinstance(rules, str) else rules)
    except UnknownRule as unknown:
        raise ValueError(str(unknown)) from None
