"""What a stream can show: its width, its characters, its colours.

Everything that a report quotes (names, paths, source lines, messages of exceptions) was written by
somebody else: it goes through :meth:`Paper.clean`, and is printed as ``Text``, never as a string,
in which rich would look for markup.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TextIO

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.console import Console, RenderableType
from rich.text import Text
from rich.theme import Theme

from gradaudit.model.findings import Severity
from gradaudit.render.unicode import visible

_WIDTH = 80  # of a pipe or a log file, so that the same report is the same text everywhere
_WIDEST = 100  # prose in longer lines is hard to read
_SLIMMEST = 40  # below that the terminal may wrap our lines as it likes
_NARROWEST = 20  # no prose is wrapped to less, however deep it is indented

SEVERITY_COLOURS: dict[Severity, str] = {"error": "red", "warning": "yellow", "note": "cyan"}
GUTTER = "bold blue"
# rich prints code on a black ground, which is a stain on a light terminal.
_THEME = Theme({"markdown.code": "cyan", "markdown.h2": "bold", "markdown.code_block": ""})


@dataclass(frozen=True, slots=True)
class Paper:
    """How much fits in a line, and which characters can be written at all."""

    width: int = _WIDTH
    encoding: str = "utf-8"

    @property
    def bar(self) -> str:
        """The vertical line between a line number and its source."""
        return "│" if self._can_show("│") else "|"

    @property
    def ellipsis(self) -> str:
        """What stands for the part of a line that does not fit."""
        return "…" if self._can_show("…") else "..."

    def clean(self, text: str) -> str:
        """Escape what would move the cursor, reverse the line, or cannot be encoded."""
        return visible(text).encode(self.encoding, "backslashreplace").decode(self.encoding)

    def head(self, text: str, room: int) -> str:
        """Keep as much of the beginning as fits in `room` cells."""
        if cell_len(text) <= room:
            return text
        return set_cell_size(text, max(room - len(self.ellipsis), 0)) + self.ellipsis

    def tail(self, text: str, room: int) -> str:
        """Keep as much of the end as fits in `room` cells."""
        if cell_len(text) <= room:
            return text
        kept = set_cell_size(text[::-1], max(room - len(self.ellipsis), 0))[::-1]
        return self.ellipsis + kept

    def _can_show(self, char: str) -> bool:
        try:
            char.encode(self.encoding)
        except UnicodeEncodeError:
            return False
        return True


def paper_of(stream: TextIO) -> Paper:
    """Look at a stream: a terminal has a width of its own, and any stream has an encoding."""
    console = console_on(stream)
    width = min(max(console.width, _SLIMMEST), _WIDEST) if console.is_terminal else _WIDTH
    return Paper(width, _encoding(stream))


def console_on(stream: TextIO) -> Console:
    """Make the console that knows whether `stream` takes colours (NO_COLOR, TERM and the like)."""
    return Console(file=stream, theme=_THEME, force_jupyter=False)


def put(stream: TextIO, renderables: Iterable[RenderableType], paper: Paper) -> None:
    """Write everything at once, so that no other thread's output falls in between.

    Lines of text are written as they are, however long: a terminal wraps them, a log keeps them.
    Only the text comes from rich, whose own writing ends the process when a pipe is closed.
    """
    console = console_on(stream)
    with console.capture() as capture:
        for renderable in renderables:
            soft = isinstance(renderable, Text)
            console.print(renderable, soft_wrap=soft, width=None if soft else paper.width)
    stream.write(capture.get().encode(paper.encoding, "replace").decode(paper.encoding))
    stream.flush()


def hanging(lead: Text, text: str, paper: Paper) -> Iterator[Text]:
    """Wrap prose beside its label; its own lines, and their indentation, are kept."""
    margin = cell_len(lead.plain)
    for paragraph in text.splitlines():
        indent = " " * (len(paragraph) - len(paragraph.lstrip()))
        room = max(paper.width - margin - len(indent), _NARROWEST)
        for line in wrap_words(paper.clean(one_line(paragraph)), room):
            row = lead.copy().append(indent + line)
            row.rstrip()
            yield row
            lead = Text(" " * margin)


def one_line(text: str) -> str:
    """Join the lines of a text, as prose is written."""
    return " ".join(text.split())


def wrap_words(text: str, width: int, taken: int = 0) -> list[str]:
    """Break prose at its spaces; `taken` cells of the first line are not free.

    A word that is wider than a whole line is cut.
    """
    lines, line, room = [], "", width - taken
    for word in text.split():
        for piece in [word] if cell_len(word) <= width else chop_cells(word, width):
            longer = f"{line} {piece}" if line else piece
            if cell_len(longer) > room and (line or room < width):
                lines.append(line)
                line, room = piece, width
            else:
                line = longer
    return [*lines, line]


def _encoding(stream: TextIO) -> str:
    """Name the encoding of a stream; one that has none, such as a StringIO, takes any text."""
    name = getattr(stream, "encoding", None) or "utf-8"
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "ascii"
