"""``sys.settrace`` over the user's own files: which loops run, and how often."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter
from types import FrameType
from typing import Any

from gradaudit.observe.headroom import Headroom
from gradaudit.observe.sites import SiteBook
from gradaudit.observe.source import LoopRange


class LoopTracer:
    """Counts the passes of loops while it is on.

    ``moment`` is called at lines of the user's, outside of any call into torch: the only moment
    at which a function mode can be taken off safely.  ``leaving`` is called with frames of the
    user's that return.  ``failed`` hears of an error of ours, which is never the user's.
    """

    def __init__(
        self,
        sites: SiteBook,
        moment: Callable[[], None],
        leaving: Callable[[FrameType], None],
        failed: Callable[[str, Exception], None],
    ) -> None:
        self._sites = sites
        self._moment = moment
        self._leaving = leaving
        self._failed = failed
        self._entered: dict[int, LoopRange] = {}
        self.passes: dict[tuple[str, int], int] = {}
        self.seconds = 0.0
        self.on = False
        self._paused = False
        self._room = Headroom()

    def start(self, frame: FrameType | None) -> bool:
        """Trace from here on, the frames on the stack included; False if another tracer is on."""
        if sys.gettrace() is not None:
            return False
        for user in self._sites.user_frames(frame):
            if user.f_trace is None:
                user.f_trace = self._local
            for loop in self._sites.sources[user.f_code.co_filename].loops_around(user.f_lineno):
                self.passes.setdefault((user.f_code.co_filename, loop.line), 1)
        self.on = True
        sys.settrace(self._global)
        return True

    def stop(self, frame: FrameType | None) -> None:
        """Give ``sys.settrace`` back, unless somebody has taken it meanwhile."""
        self.on = False
        if sys.gettrace() == self._global:
            sys.settrace(None)
        for user in self._sites.user_frames(frame):
            if user.f_trace == self._local:
                user.f_trace = None

    def pause(self) -> None:
        """The audit is about to make many small calls, and every one of them would be traced."""
        if self.on and sys.gettrace() == self._global:
            self._paused = True
            sys.settrace(None)

    def go_on(self) -> None:
        """It has made them; nothing is done if the tracer was stopped meanwhile."""
        if self._paused and self.on and sys.gettrace() is None:
            sys.settrace(self._global)
        self._paused = False

    def _global(self, frame: FrameType, event: str, arg: Any) -> Any:  # noqa: ARG002
        with self._room:
            try:
                return self._local if self._sites.user.owns(frame.f_code) else None
            except Exception as error:
                self._broke(error)
                return None

    def _local(self, frame: FrameType, event: str, arg: Any) -> Any:  # noqa: ARG002
        began = perf_counter()
        with self._room:
            try:
                if event == "line":
                    self._line(frame)
                    if self.on:
                        self._moment()
                elif event == "return":
                    self._leaving(frame)
            except Exception as error:
                self._broke(error)
        self.seconds += perf_counter() - began
        return self._local if self.on else None

    def _broke(self, error: Exception) -> None:
        """What a trace function raises, the traced line would raise."""
        self.on = False
        if sys.gettrace() == self._global:
            sys.settrace(None)
        self._failed("passes of loops", error)

    def _line(self, frame: FrameType) -> None:
        path, line = frame.f_code.co_filename, frame.f_lineno
        source = self._sites.sources[path]
        key = id(frame)
        header = self._entered.pop(key, None)
        if header is not None and header.line < line <= header.end_line:
            place = (path, header.line)
            self.passes[place] = self.passes.get(place, 0) + 1
        loop = source.loop_at_header(line)
        if loop is not None:
            self._entered[key] = loop
