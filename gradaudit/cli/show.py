"""``gradaudit show``: a report that was saved, as ``run`` shows it, or as any other file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gradaudit.cli.outputs import Annotate, Html, Markdown, Sarif, checkout, documents
from gradaudit.cli.reading import Saved, read_report
from gradaudit.cli.refusal import refuse

if TYPE_CHECKING:
    from gradaudit.model.report import Report
    from gradaudit.render.documents import Document

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
    github: Annotate = False,
) -> None:
    """Show a saved report, and write it as other files if asked to."""
    from gradaudit.render.console import render_report

    shown = read_report(report)
    _write(report, shown, documents(html=html, sarif=sarif, markdown=markdown, github=github))
    render_report(shown, sys.stdout)
    if github:
        from gradaudit.render.github import write_annotations

        write_annotations(shown, checkout(), sys.stdout)


def _write(source: str, report: Report, asked: tuple[Document, ...]) -> None:
    from gradaudit.launch.output import report_files
    from gradaudit.launch.request import RequestError
    from gradaudit.render.documents import encode

    try:
        for document, file in report_files(asked, source=source):
            file.write(encode(report, document, checkout()))
    except RequestError as problem:
        refuse(problem)
    except OSError as error:
        refuse(f"The report could not be written: {error}.")
