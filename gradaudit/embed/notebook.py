"""Reports in IPython: as the last value of a cell they show as the audit itself does."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from gradaudit.model.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable


def show_reports() -> None:
    """Tell IPython, where it runs, how a report is shown: as a page, and as text elsewhere."""
    shell_of: Callable[[], Any] | None = getattr(sys.modules.get("IPython"), "get_ipython", None)
    display = getattr(shell_of() if shell_of else None, "display_formatter", None)
    if display is not None:
        display.formatters["text/html"].for_type(Report, _page)
        display.formatters["text/plain"].for_type(Report, _text)


def _page(report: Report) -> str:
    from gradaudit.render.notebook import notebook_frame

    return notebook_frame(report)


def _text(report: Report, printer: Any, cycle: bool) -> None:  # noqa: ANN401 - IPython's
    del cycle
    from gradaudit.render.plain import plain_report

    printer.text(plain_report(report))
