"""One HTML file that needs nothing else: no network, no server, no other file.

The text is in the page itself, put there by a template that escapes; only the picture of the
timelines is drawn, from JSON in which no ``<`` is left, so that nothing quoted can end its script.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import groupby
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from gradaudit.model.findings import Finding
from gradaudit.model.report import ParameterInfo, Report, State
from gradaudit.model.sites import Location
from gradaudit.model.timelines import GRAVITY
from gradaudit.render.excerpt import Excerpt, excerpt, source_line
from gradaudit.render.listing import ListedLine, Listing, listings
from gradaudit.render.names import describe_parameters
from gradaudit.render.picture import picture
from gradaudit.render.states import LOOKS, Look
from gradaudit.render.unicode import encodable, encodable_text, visible
from gradaudit.render.words import (
    count,
    depth,
    ended_with,
    inside,
    loudest_first,
    path_line_column,
    seconds,
    seen_in,
    verdict,
    who,
)

_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


@dataclass(frozen=True, slots=True)
class _Told:
    """A finding, and what is said of it in words."""

    finding: Finding
    who: str
    seen: str


@dataclass(frozen=True, slots=True)
class _Share:
    """How many parameters had gradients that were mostly in a state; ``per_cent`` of all."""

    state: State
    count: int
    per_cent: float


def html(report: Report) -> str:
    """Write a report as one page."""
    template = _environment().from_string(_asset("report.html.jinja"))
    return encodable_text(template.render(_context(report)))


def _asset(name: str) -> str:
    """Read a part of the page from beside this module."""
    return resources.files("gradaudit.render").joinpath("page", name).read_text("utf-8")


def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        clean=visible,
        code=_code,
        count=count,
        cut=_cut,
        inside=inside,
        place=path_line_column,
        seconds=seconds,
    )
    return environment


def _context(report: Report) -> dict[str, Any]:
    known = [parameter.name for parameter in report.parameters]
    findings = [
        _Told(finding, _whom(finding, known), seen_in(finding, report))
        for finding in loudest_first(report)
    ]
    return {
        "report": report,
        "who": who(report),
        "verdict": verdict(report),
        "depth": depth(report),
        "failure": ended_with(report.run),
        "findings": findings,
        "numbers": _numbers(findings),
        "listings": [_Loop(listing) for listing in listings(report)],
        "shares": _shares(report),
        "states": _states(report),
        "command": shlex.join(report.run.argv),
        "style": Markup(_asset("report.css")),  # noqa: S704 - ours
        "script": Markup(_asset("report.js")),  # noqa: S704 - ours
        "data": _script_safe(picture(report)),
    }


def _numbers(findings: Sequence[_Told]) -> dict[Finding, int]:
    """Number the findings as the page does; of two that are equal, the first is meant."""
    numbers: dict[Finding, int] = {}
    for number, told in enumerate(findings, start=1):
        numbers.setdefault(told.finding, number)
    return numbers


def _whom(finding: Finding, known: Sequence[str]) -> str:
    return describe_parameters(finding.parameters, known, lambda name: f"`{visible(name)}`")


def _states(report: Report) -> dict[State, Look]:
    """The states that there were, of values and of lives behind them."""
    runs = [run for info in report.parameters for run in info.timeline]
    met = {run.state for run in runs} | {run.life for run in runs}
    return {state: look for state, look in LOOKS.items() if state in met}


def _shares(report: Report) -> list[_Share]:
    """Count the parameters by the state that they were in for most of the iterations."""
    most = Counter(_mostly(info) for info in report.parameters if info.timeline)
    total = most.total()
    return [_Share(state, most[state], 100 * most[state] / total) for state in LOOKS if most[state]]


def _mostly(info: ParameterInfo) -> State:
    lengths: Counter[State] = Counter()
    for run in info.timeline:
        lengths[run.state] += run.last + 1 - run.first
    return max(lengths, key=lambda state: (lengths[state], -GRAVITY[state]))


class _Loop:
    """A listing without the indentation that all of its lines have."""

    def __init__(self, listing: Listing) -> None:
        self.loop = listing.loop
        self.passes = listing.passes
        self.unlisted = listing.unlisted
        self.inside = _by_file(listing.lines)
        self.elsewhere = _by_file(listing.elsewhere)
        places = [listing.loop, *(line.location for line in listing.lines)]
        sources = filter(None, map(source_line, places))
        self._margin = min((len(line) - len(line.lstrip()) for line in sources), default=0)

    def source(self, location: Location) -> str:
        """Quote a line of the loop."""
        return visible(source_line(location)[self._margin :].expandtabs(4))

    def line(self, location: Location) -> str:
        """Quote a line from elsewhere."""
        return visible(source_line(location).strip().expandtabs(4))


def _by_file(lines: Sequence[ListedLine]) -> list[tuple[Location, list[ListedLine]]]:
    """Gather lines that follow each other in one file; the first place names it."""
    groups = (list(group) for _, group in groupby(lines, key=lambda line: line.location.path))
    return [(group[0].location, group) for group in groups]


def _cut(location: Location) -> Excerpt | None:
    cut = excerpt(location)
    if cut is None:
        return None
    before, mark, after = (
        visible(part.expandtabs(4)) for part in (cut.before, cut.mark, cut.after)
    )
    return Excerpt(before, mark, after)


def _code(text: str) -> Markup:
    """Write what our own sentences have in backticks as code."""
    parts = visible(" ".join(text.split())).split("`")
    if len(parts) % 2 == 0:  # one that is not closed is a backtick
        parts[-2:] = ["`".join(parts[-2:])]
    markup = Markup()
    for number, part in enumerate(parts):
        markup += Markup("<code>{}</code>").format(part) if number % 2 else part
    return markup


def _script_safe(data: object) -> Markup:
    text = json.dumps(encodable(data), ensure_ascii=False, separators=(",", ":"))
    for char, escape in _ESCAPES.items():
        text = text.replace(char, escape)
    return Markup(text)  # noqa: S704 - no mark of HTML is left in it
