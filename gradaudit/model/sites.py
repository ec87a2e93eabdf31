"""Places in source code: where the user's program stood when something happened."""

from __future__ import annotations

from dataclasses import dataclass

#: The name of a frame through which torch is called on behalf of the user's line.
TRAMPOLINE = "<gradaudit>"


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a source file, as the report shows it.

    ``path`` is relative to the working directory where possible.  Lines count from 1, columns
    from 1; ``end_column`` points behind the last character.  Columns are ``None`` where Python
    does not know them (before 3.11, or when a whole statement is meant).
    """

    path: str
    line: int
    end_line: int | None = None
    column: int | None = None
    end_column: int | None = None
    function: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A call site: the user's line, the library line beneath it, and the loop around it.

    Sites are interned by whoever makes them, and compared by identity: one site, one object.
    That makes them cheap keys for a fold that runs at every event.
    """

    location: Location
    library: Location | None = None
    loop: Location | None = None
