"""What sets two reports apart, on a terminal, in a pipe or in a log file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from rich.text import Text

from gradaudit.model.findings import Finding
from gradaudit.model.report import Report
from gradaudit.render.console import finding_lines
from gradaudit.render.names import describe_parameters
from gradaudit.render.terminal import (
    SEVERITY_COLOURS,
    Paper,
    hanging,
    paper_of,
    put,
)
from gradaudit.render.words import count, path_line_column
from gradaudit.taming.difference import Changed, Course, Difference


def render_difference(difference: Difference, after: Report, stream: TextIO) -> None:
    """Write the difference; ``after`` is the report that what is new belongs to."""
    paper = paper_of(stream)
    lines = Text("\n").join(_lines(difference, after, paper))
    put(stream, [lines], paper)


def _lines(difference: Difference, after: Report, paper: Paper) -> Iterator[Text]:
    known = [paper.clean(parameter.name) for parameter in after.parameters]
    for finding in difference.new:
        yield Text("new:", "bold")
        yield from finding_lines(finding, known, after, paper)
        yield Text()
    for pair in difference.changed:
        yield from _brief("changed: ", pair.after, paper)
        yield from _was(pair, paper)
    for finding in difference.gone:
        yield from _brief("gone: ", finding, paper)
    for life in difference.lives:
        told = describe_parameters(map(paper.clean, life.parameters), known)
        courses = f"was {_course(life.before)}, now {_course(life.after)}"
        yield from hanging(Text("another life: ", "cyan"), f"{told}: {courses}", paper)
    yield from _names("appeared: ", difference.appeared, known, paper)
    yield from _names("vanished: ", difference.vanished, known, paper)
    yield _summary(difference)


def _brief(label: str, finding: Finding, paper: Paper) -> Iterator[Text]:
    place = f" ({path_line_column(finding.location)})" if finding.location else ""
    lead = Text.assemble(
        (label, "bold"),
        (
            f"{finding.severity}[{paper.clean(finding.rule)}] ",
            SEVERITY_COLOURS[finding.severity],
        ),
    )
    yield from hanging(lead, f"{finding.name}: {finding.message}{place}", paper)


def _was(pair: Changed, paper: Paper) -> Iterator[Text]:
    before, after = pair.before, pair.after
    was = [
        f"{before.severity}" if before.severity != after.severity else "",
        before.message if before.message != after.message else "",
        f"at {path_line_column(before.location)}"
        if before.location and before.location != after.location
        else "",
    ]
    told = ", ".join(filter(None, was))
    if told:
        yield from hanging(Text("    was: ", "dim"), told, paper)


def _names(label: str, names: Sequence[str], known: Iterable[str], paper: Paper) -> Iterator[Text]:
    if names:
        told = describe_parameters(map(paper.clean, names), known)
        yield from hanging(Text(label, "cyan"), told, paper)


def _course(course: Course) -> str:
    return ", then ".join(course) or "never seen"


def _summary(difference: Difference) -> Text:
    lives = sum(len(life.parameters) for life in difference.lives)
    counts = {"new": difference.new, "changed": difference.changed, "gone": difference.gone}
    told = ", ".join(f"{len(found):,} {word}" for word, found in counts.items() if found)
    found = f"findings: {told}" if told else ""
    changed = f"{count(lives, 'parameter')} with another life" if lives else ""
    said = "; ".join(filter(None, (found, changed))) or "no difference"
    return Text.assemble(("gradaudit: ", "bold"), (said, "bold"))
