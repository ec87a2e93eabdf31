"""``gradaudit``, the console script.

Parse first, launch after: when a script is run, typer is off the stack, out of ``sys.modules``,
and has left no hook behind.  All other commands are done within the parsing.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from gradaudit.launch.surroundings import Surroundings


def main() -> NoReturn:
    """Do what the command line asks for, and leave with its exit code."""
    surroundings = Surroundings.take()  # before typer: a file in the working directory is not it

    from gradaudit.cli.commands import parse

    request = parse(sys.argv[1:])

    from gradaudit.launch.session import audit

    surroundings.forget_imports()
    sys.exit(audit(request, surroundings))
