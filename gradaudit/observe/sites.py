"""From frames to sites: which line of the user's own code is to be named."""

from __future__ import annotations

import inspect
import os
import site as site_module
import sys
import sysconfig
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType

import torch

from gradaudit.model.sites import TRAMPOLINE, Location, Site
from gradaudit.observe.cells import cell
from gradaudit.observe.source import SourceBook, SourceFile, Text

#: Where torch's own files lie.
TORCH = os.path.dirname(torch.__file__) + os.sep

#: Files whose lines tell nothing of who called: all backwards go through the same ones of torch's.
_PASSED = (TORCH, str(Path(__file__).parent.parent) + os.sep)

#: How the files of what is typed into IPython, and into Python from 3.13 on, are called.
_INPUTS = ("<ipython-input-", "<python-input-")

#: How many calls around a place are remembered.
_STACK = 12

#: A place not looked up yet: a code object and the index of its instruction.
RawSite = tuple[CodeType, int]


def _library_roots() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    roots = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    roots.update(site_module.getsitepackages())
    roots.add(site_module.getusersitepackages())
    roots.add(str(Path(torch.__file__).parent))
    roots.add(str(Path(__file__).parent.parent))
    real = {os.path.realpath(root) for root in roots}
    return tuple(root.rstrip(os.sep) + os.sep for root in roots | real)


class UserCode:
    """Tells the user's own files from those of Python and of installed packages.

    ``main_file`` is the user's wherever it lies, be it no file but ``<stdin>``; when it lies inside
    an installed package (``python -m package.train``), so is that whole package.
    """

    def __init__(self, main_file: str | None) -> None:
        self._roots = _library_roots()
        self._main_file = main_file
        self._own = self._own_root(main_file)
        #: every file asked about so far, and whether it is the user's
        self.seen: dict[str, bool] = {}

    def _own_root(self, main_file: str | None) -> str | None:
        if main_file is None:
            return None
        path = os.path.realpath(main_file)
        if not self._is_library(path):
            return path
        package = Path(path).parent
        while (package.parent / "__init__.py").exists():
            package = package.parent
        inside = (package / "__init__.py").exists() and str(package) + os.sep not in self._roots
        return str(package) + os.sep if inside else path

    def _is_library(self, path: str) -> bool:
        return (
            path.startswith(self._roots) or "/site-packages/" in path or "/dist-packages/" in path
        )

    def owns(self, code: CodeType) -> bool:
        """Whether code is the user's."""
        path = code.co_filename
        known = self.seen.get(path)
        if known is None:
            known = self.seen[path] = self._judge(path)
        return known and code.co_name != TRAMPOLINE

    def is_foreign(self, owner: type) -> bool:
        """Whether a class comes from a library other than torch."""
        code = constructor(owner)
        return code is not None and not self.owns(code) and not code.co_filename.startswith(TORCH)

    def _judge(self, path: str) -> bool:
        if path.startswith("<"):
            return path == self._main_file or path.startswith(_INPUTS)
        real = os.path.realpath(path)
        if self._own is not None and (real == self._own or real.startswith(self._own)):
            return self._own.endswith(os.sep) or real == self._own
        return not self._is_library(os.path.abspath(path)) and not self._is_library(real)


class SiteBook:
    """Interned sites: one object for one place, made when first needed."""

    def __init__(self, user: UserCode, sources: SourceBook, cwd: str) -> None:
        self.user = user
        self.sources = sources
        self._cwd = cwd
        self._sites: dict[tuple[int, int, int, int], Site] = {}
        self._raw: dict[tuple[int, int], Site] = {}
        self._texts: dict[tuple[str, int, int], Site] = {}
        #: what lies in no file, by what it is shown as
        self._fileless: dict[str, str] = {}
        #: code objects named by the keys above, so that their ids stay theirs
        self._codes: dict[int, CodeType] = {}

    # -- frames ------------------------------------------------------------------------------

    def user_frame(self, frame: FrameType | None) -> FrameType | None:
        """The nearest frame of the user's own code, from ``frame`` outwards."""
        owns = self.user.owns
        while frame is not None and not owns(frame.f_code):
            frame = frame.f_back
        return frame

    def user_frames(self, frame: FrameType | None) -> Iterator[FrameType]:
        """All frames of the user's own code, from ``frame`` outwards."""
        while (frame := self.user_frame(frame)) is not None:
            yield frame
            frame = frame.f_back

    def through_library(self, frame: FrameType | None) -> bool:
        """Whether code that is neither the user's nor torch's lies between the user's and here."""
        while frame is not None and not self.user.owns(frame.f_code):
            if not frame.f_code.co_filename.startswith((TORCH, "<")):
                return True
            frame = frame.f_back
        return False

    def raw_stack(self, frame: FrameType | None) -> tuple[RawSite, ...]:
        """The places of the user's on the stack, the innermost first, as far as they matter."""
        frames = islice(self.user_frames(frame), _STACK)
        return tuple((user.f_code, user.f_lasti) for user in frames)

    def release_locals(self, frame: FrameType | None) -> None:
        """Let go of the copies of local variables that looking at frames has left in them.

        Before Python 3.13 ``frame.f_locals`` (and any tracer) leaves a dict in the frame that
        holds the values of that moment until somebody looks again.  Not to be called from a trace
        function: there the copy is written back.
        """
        if sys.version_info >= (3, 13):
            return
        for user in self.user_frames(frame):
            if user.f_code.co_flags & inspect.CO_OPTIMIZED:
                user.f_locals.clear()

    def here(self, frame: FrameType | None) -> Site | None:
        """The site of what ``frame`` is doing; None when no code of the user's is on the stack."""
        seen = self.user.seen
        nearest, library = frame, None
        while nearest is not None:  # as in user_frame, without the calls
            code = nearest.f_code
            owned = seen.get(code.co_filename)
            if owned is None:
                owned = self.user.owns(code)
            if code.co_name != TRAMPOLINE:
                if owned:
                    break
                if library is None and not code.co_filename.startswith(_PASSED):
                    library = nearest
            nearest = nearest.f_back
        if nearest is None:
            return None
        under = nearest if library is None else library
        key = (id(nearest.f_code), nearest.f_lasti, id(under.f_code), under.f_lasti)
        known = self._sites.get(key)
        if known is None:
            self._keep(nearest.f_code)
            self._keep(under.f_code)
            known = self._sites[key] = Site(
                self.location(nearest.f_code, nearest.f_lasti),
                None if library is None else self.location(library.f_code, library.f_lasti),
                self._loop(nearest),
            )
        return known

    def of(self, raw: RawSite) -> Site:
        """The site of a place noted earlier, when its frame may be gone."""
        code, lasti = raw
        key = (id(code), lasti)
        known = self._raw.get(key)
        if known is None:
            self._keep(code)
            known = self._raw[key] = Site(self.location(code, lasti))
        return known

    def at(self, path: str, text: Text, function: str | None = None) -> Site:
        """The site of a stretch of source text."""
        key = (path, text.line, text.column)
        known = self._texts.get(key)
        if known is None:
            known = self._texts[key] = Site(
                Location(
                    self.shown(path),
                    text.line,
                    text.end_line,
                    text.column,
                    text.end_column,
                    function,
                    self.sources[path].line(text.line),
                )
            )
        return known

    def user_files(self) -> list[str]:
        """The user's own files, as far as code of theirs ran."""
        return [path for path, owned in self.user.seen.items() if owned]

    def root_text(self, frame: FrameType | None) -> str | None:
        """What the user called the root of the backward that is being called."""
        nearest = self.user_frame(frame)
        if nearest is None:
            return None
        source = self.sources[nearest.f_code.co_filename]
        return source.call_subject(nearest.f_lineno, "backward")

    def assigned_name(self, site: Site) -> str | None:
        """The variable that the statement at a site assigns to, if it is a simple one."""
        return self.source_of(site.location.path).assigned_name(site.location.line)

    def binding(self, name: str, read: Site) -> Site | None:
        """Where a variable was given the value that a read finds in it, judging by the text."""
        source = self.source_of(read.location.path)
        text = source.binding(name, read.location.line)
        return None if text is None else self.at(source.path, text, read.location.function)

    def scheduled(self, site: Site) -> bool:
        """Whether it depends on the progress of the training if a line runs, or what it does."""
        return self.source_of(site.location.path).on_schedule(site.location.line)

    def _keep(self, code: CodeType) -> None:
        self._codes[id(code)] = code

    def _loop(self, nearest: FrameType) -> Location | None:
        for frame in self.user_frames(nearest):
            path = frame.f_code.co_filename
            around = self.sources[path].loops_around(frame.f_lineno)
            if around:
                line = around[-1].line
                return Location(
                    self.shown(path),
                    line,
                    function=function_of(frame.f_code),
                    source=self.sources[path].line(line),
                )
        return None

    # -- places ------------------------------------------------------------------------------

    def shown(self, path: str) -> str:
        """A path as the report shows it: relative to where the command was started; or a cell."""
        fileless = cell(path) or (path if path.startswith("<") else None)
        if fileless is not None:
            self._fileless[fileless] = path
            return fileless
        absolute = os.path.abspath(os.path.join(self._cwd, path))
        if absolute.startswith(self._cwd.rstrip(os.sep) + os.sep):
            return os.path.relpath(absolute, self._cwd)
        return absolute

    def source_of(self, shown: str) -> SourceFile:
        """The text behind a path that the report shows."""
        return self.sources[self._fileless.get(shown) or os.path.join(self._cwd, shown)]

    def location(self, code: CodeType, lasti: int) -> Location:
        """Where an instruction stands, with columns from Python 3.11 on."""
        path = code.co_filename
        line, end_line, column, end_column = _position(code, lasti)
        source = self.sources[path].line(line)
        if source is not None and column is not None and end_column is not None:
            column = _characters(source, column) + 1
            last = source if end_line == line else self.sources[path].line(end_line or line) or ""
            end_column = _characters(last, end_column) + 1
        return Location(
            self.shown(path), line, end_line, column, end_column, function_of(code), source
        )


def constructor(owner: type) -> CodeType | None:
    """The code of a class's ``__init__``, unless it is not Python's."""
    code = getattr(inspect.getattr_static(owner, "__init__"), "__code__", None)
    return code if isinstance(code, CodeType) else None


def function_of(code: CodeType) -> str | None:
    """The name of the function that code belongs to; the module itself is none."""
    name: str = getattr(code, "co_qualname", code.co_name)  # co_qualname: Python 3.11
    return None if name == "<module>" else name


def _characters(text: str, byte_offset: int) -> int:
    """Python counts columns in bytes of UTF-8; people count characters."""
    return len(text.encode()[:byte_offset].decode(errors="ignore"))


def _position(code: CodeType, lasti: int) -> tuple[int, int | None, int | None, int | None]:
    if lasti >= 0 and sys.version_info >= (3, 11):
        positions = list(code.co_positions())
        index = lasti // 2
        if index < len(positions) and positions[index][0] is not None:
            line, end_line, column, end_column = positions[index]
            return line or code.co_firstlineno, end_line, column, end_column
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= lasti < end and number is not None:
            line = number
    return line, None, None, None
