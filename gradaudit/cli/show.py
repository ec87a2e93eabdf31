"""``gradaudit show``: a report that was saved, as ``run`` shows it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gradaudit.cli.refusal import refuse

EXAMPLE = """\b
Example:
    gradaudit show report.json
"""


def show(
    report: Annotated[str, typer.Argument(metavar="REPORT", help="A file made with run --json.")],
) -> None:
    """Show a saved report."""
    from gradaudit.render.console import render_report
    from gradaudit.render.json_report import ReportError, loads

    try:
        shown = loads(Path(report).read_bytes())
    except OSError as error:
        refuse(f"Cannot read the report {report!r}: {error.strerror}.")
    except ReportError as error:
        refuse(f"{report!r} is no report that can be shown: {error}")
    render_report(shown, sys.stdout)
