"""``sys.settrace`` over the user's own files: which loops run, and how often."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from types import FrameType
from typing import Any

from gradaudit.observe.headroom import Headroom
from gradaudit.observe.sites import SiteBook
from gradaudit.observe.source import LoopRange

#: Until 3.11 a tracer slows the interpreter down in every frame, its own calls or not, and costs
#: nothing to take away for a moment; from 3.12 on that has all code on the stack instrumented anew.
PAUSES_CHEAPLY = sys.version_info < (3, 12)


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
        self._seen = sites.user.seen
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

    def pause(self) -> bool:
        """The audit or torch is about to make many small calls, and every one would be traced.

        Whether there is anything to go on with when they are made.
        """
        if not self.on or sys.gettrace() != self._global:
            return False
        self._paused = True
        sys.settrace(None)
        return True

    def go_on(self) -> None:
        """They are made; nothing is done if the tracer was stopped or replaced meanwhile."""
        if self._paused and self.on and sys.gettrace() is None:
            sys.settrace(self._global)
        self._paused = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """For work of the audit's own."""
        paused = self.pause()
        try:
            yield
        finally:
            if paused:
                self.go_on()

    def _global(self, frame: FrameType, event: str, arg: Any) -> Any:  # noqa: ARG002
        # every call of a Python function comes here, our own and torch's among them
        if self._seen.get(frame.f_code.co_filename) is False:
            return None
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
