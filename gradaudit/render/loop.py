"""The annotated loop on a console: its lines, what each does to gradients, and where it breaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from rich.cells import cell_len
from rich.text import Text

from gradaudit.model.sites import Location
from gradaudit.render.excerpt import source_line
from gradaudit.render.listing import Effect, ListedLine, Listing
from gradaudit.render.terminal import GUTTER, SEVERITY_COLOURS, Paper
from gradaudit.render.words import count, inside

_WIDEST_NOTE = 38
_GAP = 2


def loop_lines(listing: Listing, paper: Paper) -> Iterator[Text]:
    """Set a loop in two columns: the source, and what is to be said of it."""
    lines = [*listing.lines, *listing.elsewhere]
    margin = max(len(str(place.line)) for place in (listing.loop, *_places(lines))) + 1
    notes = [_notes(line, listing.passes, paper) for line in lines]
    widest = max((cell_len(note.plain) for note in chain(*notes)), default=0)
    room = paper.width - margin - 3 - widest - _GAP
    head, *sources = (paper.head(source, room) for source in _sources(listing, paper))
    column = max(map(cell_len, (head, *sources)))
    rows = [*zip(lines, sources, notes, strict=True)]
    within, outside = rows[: len(listing.lines)], rows[len(listing.lines) :]
    path = listing.loop.path
    passes = "1 pass" if listing.passes == 1 else f"{listing.passes:,} passes"
    yield Text.assemble(("the loop", "bold"), f", {passes}:")
    yield _file(listing.loop, margin, paper)
    yield _row(listing.loop.line, head, Text(), margin, column, paper)
    for row in within:
        if row[0].location.path != path:
            path = row[0].location.path
            yield _file(row[0].location, margin, paper)
        yield from _rows(*row, margin, column, paper)
    if outside:
        yield Text(f"{' ' * margin} broken outside of it:")
    home: Text | None = None
    for row in outside:
        told, home = home, _file(row[0].location, margin, paper)
        if home != told:
            yield home
        yield from _rows(*row, margin, column, paper)
    if listing.unlisted:
        yield Text(f"{' ' * margin} and in {count(listing.unlisted, 'more line')}")


def _rows(
    line: ListedLine, source: str, notes: list[Text], margin: int, column: int, paper: Paper
) -> Iterator[Text]:
    """Set one line, and below it what else there is to be said of it."""
    number: int | None = line.location.line
    for note in notes:
        yield _row(number, source, note, margin, column, paper)
        number, source = None, ""


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


def _sources(listing: Listing, paper: Paper) -> list[str]:
    """Quote the lines, without the indentation that all of the loop have."""
    within = [*map(_quoted, (listing.loop, *_places(listing.lines)))]
    indented = [len(line) - len(line.lstrip()) for line in within if line]
    shared = min(indented, default=0)
    outside = [_quoted(place).lstrip() for place in _places(listing.elsewhere)]
    return [paper.clean(line) for line in (*(line[shared:] for line in within), *outside)]


def _quoted(place: Location) -> str:
    return source_line(place).expandtabs(4)


def _places(lines: Iterable[ListedLine]) -> list[Location]:
    return [line.location for line in lines]


def _row(
    number: int | None, source: str, note: Text, margin: int, column: int, paper: Paper
) -> Text:
    told = "" if number is None else str(number)
    row = Text().append(f"{told:>{margin}} {paper.bar} ", GUTTER).append(source)
    if note.plain:
        row.append(" " * (column - cell_len(source) + _GAP)).append_text(note)
    row.rstrip()
    return row
