"""One clear sentence on stderr, and exit code 2."""

from __future__ import annotations

from typing import NoReturn

import typer


def refuse(sentence: object) -> NoReturn:
    """Say why not, and leave."""
    typer.echo(f"gradaudit: {sentence}", err=True)
    raise typer.Exit(2)
