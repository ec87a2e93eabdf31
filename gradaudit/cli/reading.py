"""A saved report as an argument of a command, read and checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradaudit.cli.refusal import refuse

if TYPE_CHECKING:
    from gradaudit.model.report import Report

Saved = Annotated[str, typer.Argument(metavar="REPORT", help="A file made with run --json.")]


def read_report(path: str) -> Report:
    """Read a report, or say in one sentence why that cannot be, and leave."""
    from gradaudit.render.json_report import ReportError, loads

    try:
        return loads(Path(path).read_bytes())
    except OSError as error:
        refuse(f"Cannot read the report {path!r}: {error.strerror}.")
    except ReportError as error:
        refuse(f"{path!r} is no report that can be shown: {error}")
