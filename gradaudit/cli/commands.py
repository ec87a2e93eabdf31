"""The commands together: the typer application, and what comes out of parsing with it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
import typer.main

from gradaudit import __version__
from gradaudit.cli.diff import EXAMPLES as DIFF_EXAMPLES
from gradaudit.cli.diff import diff
from gradaudit.cli.explain import EXAMPLES as EXPLAIN_EXAMPLES
from gradaudit.cli.explain import explain
from gradaudit.cli.merge import EXAMPLES as MERGE_EXAMPLES
from gradaudit.cli.merge import merge
from gradaudit.cli.rules import rules
from gradaudit.cli.run import EXAMPLES as RUN_EXAMPLES
from gradaudit.cli.run import SETTINGS, RunCommand, run
from gradaudit.cli.show import EXAMPLE as SHOW_EXAMPLE
from gradaudit.cli.show import show
from gradaudit.cli.usage import Command

if TYPE_CHECKING:
    from gradaudit.launch.request import RunRequest

_EXAMPLES = """\b
Start with
    gradaudit run train.py
and look up what it found with
    gradaudit explain GA201
"""

# Plain help: the markup modes of typer would import rich for it, which takes longer than typer.
app = typer.Typer(name="gradaudit", no_args_is_help=True, rich_markup_mode=None)
app.command(cls=RunCommand, epilog=RUN_EXAMPLES, context_settings=SETTINGS)(run)
app.command(cls=Command, epilog=SHOW_EXAMPLE)(show)
app.command(cls=Command, epilog=DIFF_EXAMPLES)(diff)
app.command(cls=Command, epilog=MERGE_EXAMPLES)(merge)
app.command(cls=Command)(rules)
app.command(cls=Command, epilog=EXPLAIN_EXAMPLES)(explain)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"gradaudit {__version__}")
        raise typer.Exit


@app.callback(epilog=_EXAMPLES)
def _gradaudit(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Record the gradients of an unmodified PyTorch training script, and say what broke."""
    del version  # eager: the callback has answered it


def parse(args: list[str]) -> RunRequest:
    """Find the run that is asked for.  All else is done here, and ends in ``SystemExit``."""
    answer: dict[str, RunRequest] = {}
    try:
        typer.main.get_command(app).main(args, prog_name="gradaudit", obj=answer)
    except SystemExit as leaving:
        if "request" not in answer:
            sys.exit(leaving.code)
    return answer["request"]
