"""Markdown for a job summary and for a comment on a pull request.

The text quotes names, source lines and messages that somebody else wrote.  Outside of code all
that Markdown or HTML would act on is escaped; code is fenced with more backticks than it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradaudit.model.findings import Finding
from gradaudit.model.report import Report
from gradaudit.model.sites import Location
from gradaudit.render.checkout import Checkout
from gradaudit.render.excerpt import source_line
from gradaudit.render.names import describe_parameters
from gradaudit.render.unicode import visible
from gradaudit.render.words import (
    count,
    ended_with,
    inside,
    loudest_first,
    path_line_column,
    seen_in,
    verdict,
    who,
)

# A comment holds 65,536 characters, and what is beyond makes GitHub refuse all of it.
_MOST = 60_000
_MOST_IN_SHORT, _SHORT = 10, 10_000
_LONGEST = 2_000  # of one message or source line, by the same rule


def markdown(report: Report, checkout: Checkout) -> str:
    """Write a report, as many findings in full as a comment has room for."""
    return "\n".join(_document(report, checkout))


def _document(report: Report, checkout: Checkout) -> Iterator[str]:
    said, failure = verdict(report), ended_with(report.run)
    head = [f"## {_escape(who(report))}: {said.headline}", ""]
    head += [f"{_code(report.run.target)}: {said.told}", ""]
    if failure:
        head += [f"It ended with: {_code(failure)}", ""]
    findings = loudest_first(report)
    head += _in_short(findings, report, checkout)
    yield from head
    gaps = [
        f"- not observed: {_prose(gap.what)} ({_prose(gap.why)})" for gap in report.coverage.gaps
    ]
    gaps += [f"- unused ignore: {_prose(unused)}" for unused in report.unused_ignores]
    room = _MOST - sum(map(len, head)) - sum(map(len, gaps))
    known = [parameter.name for parameter in report.parameters]
    for told, finding in enumerate(findings):
        section = "\n".join(_section(finding, report, checkout, known))
        room -= len(section)
        if room < 0:
            more = count(len(findings) - told, "more finding")
            yield f"… and {more}, which the other reports of this run have.\n"
            break
        yield section
    yield from [*gaps, ""] if gaps else []


def _in_short(findings: list[Finding], report: Report, checkout: Checkout) -> Iterator[str]:
    """List several findings ahead of what is told of each, unless that would not be short."""
    lines = [_line(finding, report, checkout) for finding in findings[:_MOST_IN_SHORT]]
    if len(findings) < 2 or sum(map(len, lines)) > _SHORT:
        return
    yield from lines
    if len(findings) > _MOST_IN_SHORT:
        yield f"- and {count(len(findings) - _MOST_IN_SHORT, 'more finding')}"
    yield ""


def _line(finding: Finding, report: Report, checkout: Checkout) -> str:
    place = finding.location
    where = "" if place is None else f" {_linked(place, report, checkout)}"
    return f"- **{_escape(finding.rule)}**{where}: {_prose(finding.message)}"


def _section(
    finding: Finding, report: Report, checkout: Checkout, known: list[str]
) -> Iterator[str]:
    title = f"{finding.severity} {finding.rule} {finding.name}"
    yield f"### {_escape(title)}\n"
    yield f"{_prose(finding.message)}\n"
    if finding.location is not None:
        yield f"{_place(finding.location, report, checkout)}\n"
        yield from _source(finding.location)
    told = describe_parameters(finding.parameters, known, _code)
    facts = filter(None, (told, seen_in(finding, report)))
    yield f"{', '.join(facts)}\n"
    if finding.related:
        yield from _folded("How it came about", _chain(finding, report, checkout))
    if finding.consequences:
        follows = (
            f"- {_escape(item.rule)} {_prose(item.message)}\n" for item in finding.consequences
        )
        yield from _folded("What follows from it", follows)
    if finding.help.strip():
        yield f"**Help:** {_prose(finding.help)}\n"


def _chain(finding: Finding, report: Report, checkout: Checkout) -> Iterator[str]:
    for number, event in enumerate(finding.related, start=1):
        lead = f"{number}. "
        yield f"{lead}{_prose(event.message)}: {_place(event.location, report, checkout)}\n"
        indent = " " * len(lead)
        for line in "\n".join(_source(event.location)).splitlines():
            yield f"{indent}{line}".rstrip()


def _folded(title: str, lines: Iterator[str]) -> Iterator[str]:
    yield f"<details><summary>{title}</summary>\n"
    yield from lines
    yield "</details>\n"


def _place(location: Location, report: Report, checkout: Checkout) -> str:
    linked, function = _linked(location, report, checkout), inside(location)
    return f"{linked} in {_code(function)}" if function else linked


def _linked(location: Location, report: Report, checkout: Checkout) -> str:
    place, address = _code(path_line_column(location)), checkout.address(location, report)
    return f"[{place}]({address})" if address else place


def _source(location: Location) -> Iterator[str]:
    line = visible(_shortened(source_line(location)).expandtabs(4).strip())
    if line:
        fence = "`" * max(3, _longest_run(line) + 1)
        yield f"{fence}python\n{line}\n{fence}\n"


def _prose(text: str) -> str:
    """Escape all but the code in backticks, as our own sentences have it."""
    parts = re.split(r"`([^`\n]+)`", _shortened(" ".join(text.split())))
    return "".join(
        _code(part) if number % 2 else _escape(part) for number, part in enumerate(parts)
    )


def _code(text: str) -> str:
    """Write as code, in one line, whatever it is: line breaks would end it."""
    line = visible(" ".join(_shortened(text).split()))
    if not line:
        return "(empty)"
    fence = "`" * (_longest_run(line) + 1)
    pad = " " if "`" in line else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def _escape(text: str) -> str:
    """Take their meaning from all marks; `@` would call somebody."""
    escaped = re.sub(r"([\\`*_{}\[\]#|~!])", r"\\\1", visible(text))
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("@", "@\u200b")


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
