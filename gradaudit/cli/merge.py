"""``gradaudit merge``: the reports of several machines, or of single ranks, as one."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gradaudit.cli.outputs import Annotate, Html, Json, Junit, Markdown, Sarif, checkout, documents
from gradaudit.cli.reading import read_report
from gradaudit.cli.run import FailOn
from gradaudit.cli.writing import write_documents

EXAMPLES = """\b
Examples:
    gradaudit merge node0.json node1.json --json report.json
    gradaudit merge rank*.json

\b
Exit code: 1 when a finding reaches --fail-on, else 0; 2 when a report
cannot be read.
"""


def merge(
    reports: Annotated[
        list[str], typer.Argument(metavar="REPORTS", help="Files made with run --json.")
    ],
    *,
    json: Json = None,
    html: Html = None,
    sarif: Sarif = None,
    markdown: Markdown = None,
    junit: Junit = None,
    github: Annotate = False,
    fail_on: Annotated[
        FailOn, typer.Option(help="Exit with 1 on findings as severe as this, or more.")
    ] = FailOn.error,
) -> None:
    """Merge the reports of several processes into one.

    What the gradients of replicated parameters went through is compared (GA601 to GA603).
    """
    from gradaudit.render.console import render_report
    from gradaudit.rules.merge import merge as merged
    from gradaudit.taming.threshold import reaching

    whole = merged([read_report(path) for path in reports])
    asked = documents(
        json=json, html=html, sarif=sarif, markdown=markdown, junit=junit, github=github
    )
    write_documents(whole, asked, sources=reports)
    render_report(whole, sys.stdout)
    if github:
        from gradaudit.render.github import write_annotations

        write_annotations(whole, checkout(), sys.stdout)
    if reaching(whole, fail_on.value):
        raise typer.Exit(1)
