"""``gradaudit explain``: one rule in full."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gradaudit.cli.completing import rule_names
from gradaudit.cli.refusal import refuse

EXAMPLES = """\b
Examples:
    gradaudit explain GA201
    gradaudit explain missing-zero-grad
"""


def explain(
    rule: Annotated[
        str,
        typer.Argument(metavar="RULE", help="A rule's code or name.", autocompletion=rule_names),
    ],
) -> None:
    """Explain a rule: what it finds, and how to mend it.

    It also tells why that matters, and when it is fine.
    """
    from gradaudit.render.catalogue import render_explanation
    from gradaudit.rules.lookup import UnknownRule

    try:
        render_explanation(rule, sys.stdout)
    except UnknownRule as unknown:
        refuse(unknown)
