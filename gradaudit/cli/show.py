"""``gradaudit show``: a report that was saved, as ``run`` shows it, or as any other file."""

from __future__ import annotations

import sys

from gradaudit.cli.outputs import Annotate, Html, Junit, Markdown, Sarif, checkout, documents
from gradaudit.cli.reading import Saved, read_report
from gradaudit.cli.writing import write_documents

EXAMPLE = """\b
Examples:
    gradaudit show report.json
    gradaudit show report.json --sarif report.sarif
"""


def show(
    report: Saved,
    *,
    html: Html = None,
    sarif: Sarif = None,
    markdown: Markdown = None,
    junit: Junit = None,
    github: Annotate = False,
) -> None:
    """Show a saved report, and write it as other files if asked to."""
    from gradaudit.render.console import render_report

    shown = read_report(report)
    asked = documents(html=html, sarif=sarif, markdown=markdown, junit=junit, github=github)
    write_documents(shown, asked, sources=[report])
    render_report(shown, sys.stdout)
    if github:
        from gradaudit.render.github import write_annotations

        write_annotations(shown, checkout(), sys.stdout)
