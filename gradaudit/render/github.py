"""Workflow commands of GitHub Actions: a finding becomes an annotation on its line.

Whatever is quoted came from somebody else, and a line break in it could begin a command of its
own: all of it is escaped as the runner undoes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from gradaudit.model.findings import Finding, Severity
from gradaudit.model.report import Report
from gradaudit.model.sites import Location
from gradaudit.render.checkout import Checkout
from gradaudit.render.names import describe_parameters
from gradaudit.render.unicode import visible
from gradaudit.render.words import loudest_first, seen_in

_COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "note": "notice"}


def write_annotations(report: Report, checkout: Checkout, stream: TextIO) -> None:
    """Write the commands to the log of a job, whatever its encoding can hold."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    told = workflow_commands(report, checkout)
    stream.write(told.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def workflow_commands(report: Report, checkout: Checkout) -> str:
    """Write one command a finding, the loudest first: GitHub shows ten of each kind."""
    known = [parameter.name for parameter in report.parameters]
    return "".join(
        f"{_command(finding, report, checkout, known)}\n" for finding in loudest_first(report)
    )


def _command(finding: Finding, report: Report, checkout: Checkout, known: list[str]) -> str:
    place = {} if finding.location is None else _place(finding.location, report, checkout)
    properties = {**place, "title": f"{finding.rule} {finding.name}"}
    told = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{_COMMANDS[finding.severity]} {told}::{_data(_text(finding, report, known))}"


def _text(finding: Finding, report: Report, known: list[str]) -> str:
    told = describe_parameters(finding.parameters, known)
    seen = seen_in(finding, report)
    return "\n".join(filter(None, (finding.message, told, seen, f"help: {finding.help.strip()}")))


def _place(location: Location, report: Report, checkout: Checkout) -> dict[str, str]:
    place = {"file": checkout.path(location.path, report), "line": str(location.line)}
    return place | dict(_extent(location))


def _extent(location: Location) -> Iterator[tuple[str, str]]:
    """Say where it ends; columns count only where that is the line it begins in."""
    last = location.end_line or location.line
    if last > location.line:
        yield "endLine", str(last)
    elif location.column is not None:
        yield "col", str(location.column)
        yield "endColumn", str(max((location.end_column or 0) - 1, location.column))


def _data(text: str) -> str:
    return "%0A".join(visible(line.replace("%", "%25")) for line in text.splitlines())


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
