"""Where a block stands."""

from __future__ import annotations

from dataclasses import dataclass
from types import FrameType


class AuditError(RuntimeError):
    """An audit that cannot be had.  Its text is one sentence: what is wrong, and what to do."""

    __module__ = "gradaudit"  # where it is to be imported from


@dataclass(frozen=True, slots=True)
class Place:
    """The file of a block, as the interpreter calls it, and the line it begins at."""

    file: str
    line: int

    @classmethod
    def of(cls, frame: FrameType) -> Place:
        """Find the ``with``, or whatever has an ``ExitStack`` enter the block."""
        while frame.f_globals.get("__name__") == "contextlib" and frame.f_back is not None:
            frame = frame.f_back
        return cls(frame.f_code.co_filename, frame.f_lineno)
