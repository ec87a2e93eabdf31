"""A report as a file, in any of the formats that there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gradaudit.model.report import Report
    from gradaudit.render.checkout import Checkout

Format = Literal["json", "sarif", "html", "markdown", "junit", "baseline"]


@dataclass(frozen=True, slots=True)
class Document:
    """A file to be written; ``append`` to what others wrote there, a job summary for one."""

    format: Format
    path: str
    append: bool = False


def encode(report: Report, document: Document, checkout: Checkout) -> bytes:
    """Write a report in the format of a document; only that reporter is imported."""
    if document.format == "json":
        from gradaudit.render.json_report import dumps

        return dumps(report)
    if document.format == "sarif":
        from gradaudit.render.sarif import sarif
        from gradaudit.rules.catalogue import RULES

        return sarif(report, checkout, RULES).encode()
    if document.format == "html":
        from gradaudit.render.html import html

        return html(report).encode()
    if document.format == "junit":
        from gradaudit.render.junit import junit

        return junit(report, checkout).encode()
    if document.format == "baseline":
        from gradaudit.taming.baseline import dump_baseline

        return dump_baseline(report).encode("utf-8", "backslashreplace")
    from gradaudit.render.markdown import markdown

    return markdown(report, checkout).encode()
