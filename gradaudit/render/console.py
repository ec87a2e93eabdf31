"""The report on a terminal, in a pipe or in a log file: diagnostics as compilers write them.

The functions below turn a report into lines of styled text and touch no stream; only
:func:`render_report` does.  Without colour the styles vanish and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.text import Text

from gradaudit.model.findings import Finding
from gradaudit.model.report import Report, Run
from gradaudit.model.sites import Location
from gradaudit.render.excerpt import excerpt, source_line
from gradaudit.render.listing import listings
from gradaudit.render.loop import loop_lines
from gradaudit.render.names import describe_parameters
from gradaudit.render.strips import strip_lines
from gradaudit.render.terminal import (
    GUTTER,
    SEVERITY_COLOURS,
    Paper,
    hanging,
    one_line,
    paper_of,
    put,
    wrap_words,
)
from gradaudit.render.words import (
    Tone,
    count,
    ended_with,
    inside,
    loudest_first,
    path_line_column,
    seconds,
    seen_in,
    verdict,
    who,
)

#: As many findings as are listed once more in the end.
_MOST_IN_SHORT = 10

_TONES: dict[Tone, str] = {
    "error": SEVERITY_COLOURS["error"],
    "warning": SEVERITY_COLOURS["warning"],
    "healthy": "green",
}


def render_report(report: Report, stream: TextIO) -> None:
    """Write the whole report to a stream, in colour where the stream takes it."""
    paper = paper_of(stream)
    put(stream, [Text("\n").join(report_lines(report, paper))], paper)


def report_lines(report: Report, paper: Paper) -> list[Text]:
    """Tell the findings, the loudest first, the loops, the lives, the gaps, and all in one line."""
    known = [paper.clean(parameter.name) for parameter in report.parameters]
    findings = loudest_first(report)
    lines: list[Text] = []
    for finding in findings:
        lines += [*finding_lines(finding, known, report, paper), Text()]
    for part in (
        *(loop_lines(loop, paper) for loop in listings(report)),
        strip_lines(report, paper),
    ):
        told = list(part)
        lines += [*told, Text()] if told else []
    for gap in report.coverage.gaps:
        lead = Text("not observed: ", "yellow")
        lines += hanging(lead, f"{gap.what} ({gap.why})", paper)
    for unused in report.unused_ignores:
        lines += hanging(Text("unused ignore: ", "yellow"), unused, paper)
    lines += _failure(report.run, paper)
    lines += [*_in_short(findings, paper), *_pointer(findings, paper)]
    lines.append(_summary(report))
    return lines


def finding_lines(
    finding: Finding, known: Sequence[str], report: Report, paper: Paper
) -> Iterator[Text]:
    """Tell one finding in full; ``known`` are the names of all parameters."""
    told = _told(finding.parameters, known, paper)
    seen = seen_in(finding, report)
    facts = ", ".join(filter(None, (told, seen)))
    margin = _margin(finding)
    yield from _header(finding, paper)
    if finding.severity == "note":
        yield from _place(finding.location, margin, paper)
        yield from _fact("", facts, margin, paper)
    else:
        yield from _excerpt(finding.location, margin, SEVERITY_COLOURS[finding.severity], paper)
        yield from _fact("", facts, margin, paper)
        yield from _chain(finding, margin, paper)
        yield from _consequences(finding, known, margin, paper)
    yield from _fact("help: ", finding.help, margin, paper, style="bold green")


def _header(finding: Finding, paper: Paper) -> Iterator[Text]:
    code = f"{finding.severity}[{paper.clean(finding.rule)}]"
    title = f"{code} {paper.clean(finding.name)}: "
    indent = 4
    message = paper.clean(one_line(finding.message))
    first, *rest = wrap_words(message, paper.width - indent, taken=cell_len(title) - indent)
    header = Text(title + first, "bold")
    header.stylize(SEVERITY_COLOURS[finding.severity], 0, len(code))
    yield header
    yield from (Text(" " * indent + line, "bold") for line in rest)


def _excerpt(location: Location | None, margin: int, colour: str, paper: Paper) -> Iterator[Text]:
    """Show the place and its source line, with what the columns point at underlined."""
    if location is None:
        return
    yield from _place(location, margin, paper)
    if not source_line(location):
        return
    before, mark, after = _source(location, paper.width - margin - 3, paper)
    yield _gutter("", margin, paper)
    line = _gutter(str(location.line), margin, paper)
    yield line.append(f" {before}").append(mark, "bold").append(after)
    underline = _gutter("", margin, paper).append(" " * (cell_len(before) + 1))
    yield underline.append("^" * cell_len(mark), f"bold {colour}")
    yield _gutter("", margin, paper)


def _place(location: Location | None, margin: int, paper: Paper) -> Iterator[Text]:
    if location is None:
        return
    function = inside(location)
    within = f" in {paper.clean(function)}" if function else ""
    place = paper.clean(path_line_column(location))
    yield Text.assemble(" " * margin, ("--> ", GUTTER), place, (within, "dim"))


def _gutter(number: str, margin: int, paper: Paper) -> Text:
    return Text().append(f"{number:>{margin}} {paper.bar}", GUTTER)


def _margin(finding: Finding) -> int:
    return len(str(finding.location.line)) if finding.location else 1


def _fact(label: str, text: str, margin: int, paper: Paper, style: str = "") -> Iterator[Text]:
    if text.strip():
        lead = Text.assemble(" " * (margin + 1), ("= ", GUTTER), (label, style))
        yield from hanging(lead, text, paper)


def _chain(finding: Finding, margin: int, paper: Paper) -> Iterator[Text]:
    """Tell the events in order; the line that the finding itself shows is not shown again."""
    if not finding.related:
        return
    yield from _fact("", "how it came about:", margin, paper)
    for number, event in enumerate(finding.related, start=1):
        lead = Text(" " * (margin + 3)).append(f"{number}. ", GUTTER)
        yield from hanging(lead, event.message, paper)
        inner = cell_len(lead.plain) + len(str(event.location.line))
        yield from _place(event.location, inner, paper)
        if source_line(event.location) and not _same_line(event.location, finding.location):
            before, mark, after = _source(event.location, paper.width - inner - 3, paper)
            line = _gutter(str(event.location.line), inner, paper).append(f" {before}")
            yield line.append(mark, "underline" if before or after else "").append(after)


def _same_line(one: Location, other: Location | None) -> bool:
    return other is not None and (one.path, one.line) == (other.path, other.line)


def _consequences(
    finding: Finding, known: Sequence[str], margin: int, paper: Paper
) -> Iterator[Text]:
    """Tell what the finding explains, and whom it befalls where those are others."""
    if not finding.consequences:
        return
    yield from _fact("", "what follows from it:", margin, paper)
    for consequence in finding.consequences:
        lead = Text(" " * (margin + 3)).append(f"{paper.clean(consequence.rule)} ", "bold")
        names = consequence.parameters
        said = set(names) == set(finding.parameters) or all(
            name in consequence.message for name in names
        )
        told = "" if said else f" ({_told(names, known, paper)})"
        yield from hanging(lead, consequence.message + told, paper)


def _told(names: Sequence[str], known: Sequence[str], paper: Paper) -> str:
    return describe_parameters(map(paper.clean, names), known)


def _source(location: Location, room: int, paper: Paper) -> tuple[str, str, str]:
    """Quote what stands before, in and behind the columns, as much of it as there is room for."""
    cut = excerpt(location)
    parts = (cut.before, cut.mark, cut.after) if cut else ("", "", "")
    before, mark, after = (paper.clean(part.replace("\t", "    ")) for part in parts)
    spared = max(room // 3, room - cell_len(mark + after))
    before = paper.tail(before, spared)
    mark = paper.head(mark, room - cell_len(before))
    return before, mark, paper.head(after, room - cell_len(before + mark))


def _failure(run: Run, paper: Paper) -> Iterator[Text]:
    told = ended_with(run)
    if told:
        yield from hanging(Text("it ended with: ", "red"), paper.head(told, 240), paper)


def _in_short(findings: Sequence[Finding], paper: Paper) -> Iterator[Text]:
    """List several findings where a terminal stands in the end, a line for each."""
    if len(findings) < 2:
        return
    shown, more = findings[:_MOST_IN_SHORT], len(findings[_MOST_IN_SHORT:])
    places = [_short_place(finding, paper) for finding in shown]
    column = max(map(cell_len, places))
    yield Text.assemble(("in short", "bold"), ":")
    for finding, place in zip(shown, places, strict=True):
        row = Text("  ").append(paper.clean(finding.rule), SEVERITY_COLOURS[finding.severity])
        row.append(f"  {place}{' ' * (column - cell_len(place))}  ")
        message = paper.clean(one_line(finding.message))
        yield row.append(paper.head(message, paper.width - cell_len(row.plain)))
    if more:
        yield Text(f"  and {count(more, 'more finding')}")
    yield Text()


def _short_place(finding: Finding, paper: Paper) -> str:
    if finding.location is None:
        return ""
    return paper.tail(paper.clean(path_line_column(finding.location)), paper.width // 3)


def _pointer(findings: Sequence[Finding], paper: Paper) -> Iterator[Text]:
    if findings:
        yield Text(f"to read more: gradaudit explain {paper.clean(findings[0].rule)}", "dim")


def _summary(report: Report) -> Text:
    run, said = report.run, verdict(report)
    cost = f" (audit {seconds(run.audit_seconds)} of {seconds(run.wall_seconds)})"
    return Text.assemble(
        (f"{who(report)}: ", "bold"),
        (said.headline, f"bold {_TONES[said.tone]}"),
        f": {said.told}",
        (cost, "dim"),
    )
