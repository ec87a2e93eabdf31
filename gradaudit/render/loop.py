"""The annotated loop on a console: its lines, what each does to gradients, and where it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from rich.cells import cell_len
from rich.text import Text

from gradaudit.model.sites import Location
from gradaudit.render.excerpt import source_line
from gradaudit.render.listing import Effect, ListedLine, Listing
from gradaudit.render.terminal import GUTTER, SEVERITY_COLOURS, Paper
from gradaudit.render.words import inside

_WIDEST_NOTE = 38
_GAP = 2


def loop_lines(listing: Listing, paper: Paper) -> Iterator[Text]:
    """Set a loop in two columns: the source, and what is to be said of it."""
    places = [listing.loop, *(line.location for line in listing.lines)]
    margin = max(len(str(place.line)) for place in places) + 1
    notes = [_notes(line, listing.passes, paper) for line in listing.lines]
    widest = max((cell_len(note.plain) for note in chain(*notes)), default=0)
    room = paper.width - margin - 3 - widest - _GAP
    sources = _sources(places, room, paper)
    column = max(map(cell_len, sources))
    passes = "1 pass" if listing.passes == 1 else f"{listing.passes:,} passes"
    yield Text.assemble(("the loop", "bold"), f", {passes}:")
    yield _file(listing.loop, margin, paper)
    yield _row(listing.loop.line, sources[0], Text(), margin, column, paper)
    path = listing.loop.path
    for line, source, noted in zip(listing.lines, sources[1:], notes, strict=True):
        if line.location.path != path:
            path = line.location.path
            yield _file(line.location, margin, paper)
        first = True
        for note in noted:
            number = line.location.line if first else None
            yield _row(number, source if first else "", note, margin, column, paper)
            first = False


def _file(location: Location, margin: int, paper: Paper) -> Text:
    function = inside(location)
    within = f" in {paper.clean(function)}" if function else ""
    return Text.assemble(
        " " * margin, ("--> ", GUTTER), paper.clean(location.path), (within, "dim")
    )


def _notes(line: ListedLine, passes: int, paper: Paper) -> list[Text]:
    effects = [_effect(effect, passes, paper) for effect in line.effects]
    broken = [
        Text(
            f"<- {paper.clean(finding.rule)} {paper.clean(finding.name)}",
            f"bold {SEVERITY_COLOURS[finding.severity]}",
        )
        for finding in line.findings
    ]
    notes = [*effects, *broken]
    for note in notes:
        note.truncate(min(_WIDEST_NOTE, paper.width // 2), overflow="crop")
    return notes


def _effect(effect: Effect, passes: int, paper: Paper) -> Text:
    """Say what a line did; how often only where that is not once a pass."""
    if effect.count == passes:
        return Text(paper.clean(effect.does))
    return Text.assemble(paper.clean(effect.does), (f", {effect.count:,}x", "dim"))


def _sources(places: list[Location], room: int, paper: Paper) -> list[str]:
    """Quote the lines, without the indentation that all of them have."""
    lines = [source_line(place).expandtabs(4) for place in places]
    indented = [len(line) - len(line.lstrip()) for line in lines if line]
    shared = min(indented, default=0)
    return [paper.head(paper.clean(line[shared:]), room) for line in lines]


def _row(
    number: int | None, source: str, note: Text, margin: int, column: int, paper: Paper
) -> Text:
    told = "" if number is None else str(number)
    row = Text().append(f"{told:>{margin}} {paper.bar} ", GUTTER).append(source)
    if note.plain:
        row.append(" " * (column - cell_len(source) + _GAP)).append_text(note)
    row.rstrip()
    return row
