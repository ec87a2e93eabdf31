"""One HTML file that needs nothing else: no network, no server, no other file.

The text is in the page itself, put there by a template that escapes; only the picture of the
timelines is drawn, from JSON in which no ``<`` is left, so that nothing quoted can end its script.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import groupby
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from gradaudit.model.findings import Finding
from gradaudit.model.report import Report
from gradaudit.model.sites import Location
from gradaudit.render.excerpt import Excerpt, excerpt, source_line
from gradaudit.render.listing import ListedLine, Listing, listings
from gradaudit.render.names import describe_parameters
from gradaudit.render.picture import picture
from gradaudit.render.states import LOOKS
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
    facts: str


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
    return {
        "report": report,
        "who": who(report),
        "verdict": verdict(report),
        "depth": depth(report),
        "failure": ended_with(report.run),
        "findings": [
            _Told(finding, ", ".join(_facts(finding, known, report)))
            for finding in loudest_first(report)
        ],
        "listings": [_Loop(listing) for listing in listings(report)],
        "states": LOOKS,
        "command": shlex.join(report.run.argv),
        "style": Markup(_asset("report.css")),  # noqa: S704 - ours
        "script": Markup(_asset("report.js")),  # noqa: S704 - ours
        "data": _script_safe(picture(report)),
    }


def _facts(finding: Finding, known: list[str], report: Report) -> Iterator[str]:
    told = describe_parameters(finding.parameters, known)
    seen = seen_in(finding, report)
    yield from filter(None, (told, seen))


class _Loop:
    """A listing without the indentation that all of its lines have."""

    def __init__(self, listing: Listing) -> None:
        self.loop = listing.loop
        self.passes = listing.passes
        self.lines = listing.lines
        places = [listing.loop, *(line.location for line in listing.lines)]
        sources = filter(None, map(source_line, places))
        self._margin = min((len(line) - len(line.lstrip()) for line in sources), default=0)

    def source(self, location: Location) -> str:
        """Quote a line."""
        return visible(source_line(location)[self._margin :].expandtabs(4))

    def parts(self) -> Iterator[tuple[str, list[ListedLine]]]:
        """Tell the lines file by file; those in the loop's own come first."""
        for path, lines in groupby(self.lines, key=lambda line: line.location.path):
            yield ("" if path == self.loop.path else path), list(lines)


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
