"""What becomes of a report besides the console: options, and the files they ask for.

GitHub Actions needs no option of ``run``: findings become annotations, and the report is added to
the summary of the job, unless ``--no-github`` says otherwise.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gradaudit.render.checkout import Checkout
    from gradaudit.render.documents import Document, Format

Json = Annotated[
    str | None, typer.Option("--json", metavar="PATH", help="Write the report to a JSON file.")
]
Sarif = Annotated[
    str | None, typer.Option(metavar="PATH", help="Write the findings to a SARIF file.")
]
Html = Annotated[
    str | None, typer.Option(metavar="PATH", help="Write the report as one HTML page.")
]
Markdown = Annotated[
    str | None, typer.Option(metavar="PATH", help="Write the report for a pull-request comment.")
]
Junit = Annotated[
    str | None, typer.Option(metavar="PATH", help="Write the findings as tests, in JUnit XML.")
]
Github = Annotated[
    bool | None,
    typer.Option(
        "--github/--no-github",
        help="Annotate lines and add to the job's summary; under GitHub Actions the default.",
        show_default=False,
    ),
]
Annotate = Annotated[
    bool,
    typer.Option("--github", help="Print GitHub annotations, and add to the job's summary."),
]


def documents(*, github: bool | None, **paths: str | None) -> tuple[Document, ...]:
    """List the files that were asked for, and the job's summary where there is one."""
    from gradaudit.render.documents import Document

    formats: dict[Format, str | None] = paths  # type: ignore[assignment]
    asked = [Document(format_, path) for format_, path in formats.items() if path is not None]
    summary = os.environ.get("GITHUB_STEP_SUMMARY", "")
    # Nobody asked for it by name: where there is no such place, in a container say, it is left out.
    if annotates(github) and os.path.isdir(os.path.dirname(summary)):  # noqa: PTH112, PTH120
        asked.append(Document("markdown", summary, append=True))
    return tuple(asked)


def annotates(github: bool | None) -> bool:
    """Whether to write workflow commands: when asked to, or by itself under GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true" if github is None else github


def checkout() -> Checkout:
    """Find the repository that paths are told in."""
    from gradaudit.render.checkout import Checkout

    return Checkout.of(os.environ)
