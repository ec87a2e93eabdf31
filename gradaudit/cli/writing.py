"""A report that was read, written as other files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradaudit.cli.outputs import checkout
from gradaudit.cli.refusal import refuse

if TYPE_CHECKING:
    from gradaudit.model.report import Report
    from gradaudit.render.documents import Document


def write_documents(report: Report, asked: Sequence[Document], *, sources: Sequence[str]) -> None:
    """Write the files that were asked for, none of them over what was read."""
    from gradaudit.launch.output import report_files
    from gradaudit.launch.request import RequestError
    from gradaudit.render.documents import encode

    try:
        for document, file in report_files(asked, sources=sources):
            file.write(encode(report, document, checkout()))
    except RequestError as problem:
        refuse(problem)
    except OSError as error:
        refuse(f"The report could not be written: {error}.")
