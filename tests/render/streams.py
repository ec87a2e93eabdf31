"""Streams to render on: a log file in some encoding, and a terminal."""

from __future__ import annotations

import io


class Log(io.TextIOWrapper):
    """A file that refuses what its encoding cannot hold, as a real one does."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, newline="")

    def text(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]


class Terminal(Log):
    def isatty(self) -> bool:
        return True
