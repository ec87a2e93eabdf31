"""The report on a terminal, in a pipe or in a log file: diagnostics as compilers write them.

The functions below turn a report into lines of styled text and touch no stream; only
:func:`render_report` does.  Without colour the styles vanish and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.text import Text

from gradaudit.model.findings import SEVERITIES, Consequence, Finding, Span
from gradaudit.model.report import Outcome, Report, Run
from gradaudit.model.sites import Location
from gradaudit.render.names import describe_parameters
from gradaudit.render.terminal import (
    SEVERITY_COLOURS,
    Paper,
    hanging,
    one_line,
    paper_of,
    put,
    wrap_words,
)

_ENDINGS: dict[Outcome, str] = {
    "completed": "",
    "failed": "; the script failed",
    "stopped": "; stopped at the limit",
    "interrupted": "; interrupted",
}
_GUTTER = "bold blue"


def render_report(report: Report, stream: TextIO) -> None:
    """Write the whole report to a stream, in colour where the stream takes it."""
    paper = paper_of(stream)
    put(stream, [Text("\n").join(report_lines(report, paper))], paper)


def report_lines(report: Report, paper: Paper) -> list[Text]:
    """Tell the findings, the loudest first, then what was not observed, then one line for all."""
    known = [paper.clean(parameter.name) for parameter in report.parameters]
    findings = sorted(report.findings, key=lambda finding: SEVERITIES.index(finding.severity))
    lines: list[Text] = []
    for finding in findings:
        lines += [*_finding(finding, known, report.run.iterations, paper), Text()]
    for gap in report.coverage.gaps:
        lead = Text("not observed: ", "yellow")
        lines += hanging(lead, f"{gap.what} ({gap.why})", paper)
    lines += _failure(report.run, paper)
    lines += _pointer(findings, paper)
    lines.append(_summary(report))
    return lines


def _finding(
    finding: Finding, known: Sequence[str], iterations: int, paper: Paper
) -> Iterator[Text]:
    told = _told(finding.parameters, known, paper)
    seen = _iterations(finding.iterations, iterations)
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
        yield from _consequences(finding.consequences, known, margin, paper)
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
    if not _line_of(location):
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
    function = location.function
    inside = f" in {paper.clean(function)}" if function and function != "<module>" else ""
    place = paper.clean(_path_line_column(location))
    yield Text.assemble(" " * margin, ("--> ", _GUTTER), place, (inside, "dim"))


def _path_line_column(location: Location) -> str:
    column = "" if location.column is None else f":{location.column}"
    return f"{location.path}:{location.line}{column}"


def _gutter(number: str, margin: int, paper: Paper) -> Text:
    return Text().append(f"{number:>{margin}} {paper.bar}", _GUTTER)


def _margin(finding: Finding) -> int:
    return len(str(finding.location.line)) if finding.location else 1


def _fact(label: str, text: str, margin: int, paper: Paper, style: str = "") -> Iterator[Text]:
    if text.strip():
        lead = Text.assemble(" " * (margin + 1), ("= ", _GUTTER), (label, style))
        yield from hanging(lead, text, paper)


def _chain(finding: Finding, margin: int, paper: Paper) -> Iterator[Text]:
    """Tell the events in order; the line that the finding itself shows is not shown again."""
    if not finding.related:
        return
    yield from _fact("", "how it came about:", margin, paper)
    for number, event in enumerate(finding.related, start=1):
        lead = Text(" " * (margin + 3)).append(f"{number}. ", _GUTTER)
        yield from hanging(lead, event.message, paper)
        inner = cell_len(lead.plain) + len(str(event.location.line))
        yield from _place(event.location, inner, paper)
        if _line_of(event.location) and event.location != finding.location:
            source = "".join(_source(event.location, paper.width - inner - 3, paper))
            yield _gutter(str(event.location.line), inner, paper).append(f" {source}")


def _consequences(
    consequences: Sequence[Consequence], known: Sequence[str], margin: int, paper: Paper
) -> Iterator[Text]:
    if not consequences:
        return
    yield from _fact("", "what follows from it:", margin, paper)
    for consequence in consequences:
        lead = Text(" " * (margin + 3)).append(f"{paper.clean(consequence.rule)} ", "bold")
        named = all(name in consequence.message for name in consequence.parameters)
        told = "" if named else f" ({_told(consequence.parameters, known, paper)})"
        yield from hanging(lead, consequence.message + told, paper)


def _told(names: Sequence[str], known: Sequence[str], paper: Paper) -> str:
    return describe_parameters(map(paper.clean, names), known)


def _iterations(span: Span | None, total: int) -> str:
    """Say in how many iterations it was seen, and in which, unless that was all of them."""
    if span is None:
        return ""
    share = f"{span.count:,} of " if total >= span.count else ""
    seen = f"in {share}{_count(max(total, span.count), 'iteration')}"
    if span.count == total:
        return seen
    last = "" if span.last == span.first else f" to {span.last:,}"
    return f"{seen} ({span.first:,}{last})"


def _line_of(location: Location) -> str:
    lines = (location.source or "").splitlines()
    return lines[0].rstrip() if lines else ""


def _source(location: Location, room: int, paper: Paper) -> tuple[str, str, str]:
    """Quote what stands before, in and behind the columns, as much of it as there is room for."""
    before, mark, after = (paper.clean(part.replace("\t", "    ")) for part in _split(location))
    spared = max(room // 3, room - cell_len(mark + after))
    before = paper.tail(before, spared)
    mark = paper.head(mark, room - cell_len(before))
    return before, mark, paper.head(after, room - cell_len(before + mark))


def _split(location: Location) -> tuple[str, str, str]:
    """Cut the line without its indentation at the columns; without columns, all of it is meant."""
    line = _line_of(location)
    start = len(line) - len(line.lstrip())
    column, end_column = location.column, location.end_column
    if column is None or not start < column <= len(line):
        return "", line[start:], ""
    ends_here = location.end_line in (None, location.line) and end_column is not None
    end = max(end_column - 1, column) if ends_here and end_column else len(line)
    return line[start : column - 1], line[column - 1 : end], line[end:]


def _failure(run: Run, paper: Paper) -> Iterator[Text]:
    """Name the exception that ended it; the report may be read long after the traceback."""
    if run.exception is None:
        return
    what = ": ".join(filter(None, (run.exception.type, one_line(run.exception.message))))
    where = run.exception.location
    told = f"{what} ({_path_line_column(where)})" if where else what
    yield from hanging(Text("it ended with: ", "red"), paper.head(told, 240), paper)


def _pointer(findings: Sequence[Finding], paper: Paper) -> Iterator[Text]:
    if findings:
        yield Text(f"to read more: gradaudit explain {paper.clean(findings[0].rule)}", "dim")


def _summary(report: Report) -> Text:
    run = report.run
    who = "gradaudit" if run.world_size == 1 else f"gradaudit, rank {run.rank} of {run.world_size}"
    verdict, colour, told = _verdict(report)
    cost = f" (audit {_seconds(run.audit_seconds)} of {_seconds(run.wall_seconds)})"
    return Text.assemble(
        (f"{who}: ", "bold"), (verdict, f"bold {colour}"), f": {told}", (cost, "dim")
    )


def _verdict(report: Report) -> tuple[str, str, str]:
    """Say in a word or two how it went, in which colour, and from how much that is known."""
    summary, run = report.summary, report.run
    counts = {"error": summary.error, "warning": summary.warning, "note": summary.note}
    found = ", ".join(_count(number, noun) for noun, number in counts.items() if number)
    if summary.error or summary.warning:
        return found, SEVERITY_COLOURS["error" if summary.error else "warning"], _extent(report)
    if not found and not run.backward_calls:
        return "nothing to audit", "yellow", _absence(report)
    told = _extent(report) if found else f"{_extent(report)}; nothing to report"
    notes = f", {found}" if found else ""
    if run.outcome in ("failed", "interrupted"):
        return f"nothing wrong so far{notes}", "yellow", _extent(report)
    return f"healthy{notes}", "green", told


def _absence(report: Report) -> str:
    missing = "no backward call was seen" if report.environment.torch else "torch was not imported"
    return missing + _ENDINGS[report.run.outcome]


def _extent(report: Report) -> str:
    run = report.run
    counts = (
        _count(run.iterations, "iteration"),
        _count(len(report.parameters), "parameter"),
        _count(run.backward_calls, "backward call"),
        _count(run.optimizer_steps, "step"),
    )
    return ", ".join(counts) + _ENDINGS[run.outcome]


def _seconds(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds < 100 else f"{seconds:,.0f} s"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
