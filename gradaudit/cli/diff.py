"""``gradaudit diff``: what has changed from one saved report to another."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gradaudit.cli.reading import read_report

EXAMPLES = """\b
Example:
    gradaudit diff main.json branch.json

Exit code: 1 when an error or a warning is new, else 0; 2 when a report cannot be read.
"""


def diff(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="A file made with run --json.")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="Another one.")],
) -> None:
    """Compare two saved reports: what is new, gone or changed.

    That is said of findings, and of parameters whose gradients took another course.
    """
    from gradaudit.render.difference import render_difference
    from gradaudit.taming.difference import difference

    old, current = read_report(before), read_report(after)
    found = difference(old, current)
    render_difference(found, current, sys.stdout)
    if found.fails:
        raise typer.Exit(1)
