"""A script or a module, and how it becomes ``__main__``.

``become`` does what the interpreter does before the first line: a fresh ``__main__``,
``sys.argv`` and ``sys.path[0]``.  ``execute`` then runs it: a script as ``python script.py``
compiles and runs it, a module by the very function that ``python -m`` calls.
"""

# os.path, not pathlib: file names stay as the interpreter has them.
# ruff: noqa: PTH109, PTH113, PTH117, PTH118, PTH120, PTH123

from __future__ import annotations

import builtins
import importlib.machinery
import os
import sys
import tokenize
from types import ModuleType
from typing import Protocol

from gradaudit.launch.interpreter import flush_streams
from gradaudit.launch.request import RequestError, RunRequest
from gradaudit.launch.surroundings import path_is_safe


class Target(Protocol):
    """What is run."""

    @property
    def title(self) -> str:
        """The target as the user wrote it."""

    def become(self) -> None:
        """Make the interpreter look as it does right before the first line."""

    def execute(self) -> None:
        """Run it to its end; whatever it raises comes out of here."""

    def settle(self) -> None:
        """Do what the interpreter does right behind the last line: flush, but for ``-m``."""


def target_of(request: RunRequest) -> Target:
    """Find the target; ``RequestError`` if it is a script that cannot be read or is none."""
    if request.module:
        return _Module(request.target, request.args)
    return _Script(request.target, request.args)


class _Script:
    def __init__(self, path: str, args: tuple[str, ...]) -> None:
        self.title = path
        self._args = args
        self._source = _read(path)
        self._file = path if os.path.isabs(path) else os.path.join(os.getcwd(), path)

    def become(self) -> None:
        main = _enter_main()
        main.__dict__.update(__file__=self._file, __cached__=None)
        main.__loader__ = importlib.machinery.SourceFileLoader("__main__", self._file)
        sys.argv = [self.title, *self._args]
        if not path_is_safe():
            sys.path.insert(0, os.path.dirname(os.path.realpath(self._file)))

    def execute(self) -> None:
        code = compile(self._source, self._file, "exec", dont_inherit=True)
        exec(code, vars(sys.modules["__main__"]))  # noqa: S102 - what this is for

    def settle(self) -> None:
        flush_streams()


class _Module:
    def __init__(self, name: str, args: tuple[str, ...]) -> None:
        self.title = f"-m {name}"
        self._name = name
        self._args = args

    def become(self) -> None:
        _enter_main()
        sys.argv = ["-m", *self._args]
        if not path_is_safe():
            sys.path.insert(0, os.getcwd())

    def execute(self) -> None:
        import runpy  # a file of its own before Python 3.11, and only needed here

        try:
            runpy._run_module_as_main(self._name)  # type: ignore[attr-defined]
        except SystemExit as leaving:
            # Its way to say that there is no such module, before anything of it was run.
            reason = leaving.__context__
            if isinstance(reason, runpy._Error):  # type: ignore[attr-defined]
                raise RequestError(f"Cannot run module {self._name!r}: {reason}.") from None
            raise

    def settle(self) -> None:
        pass


_launchers_main: ModuleType | None = None


def _enter_main() -> ModuleType:
    """Put a fresh ``__main__`` in place, with what the interpreter gives it."""
    global _launchers_main  # noqa: PLW0603 - its last reference: the frames below us still use it
    _launchers_main = sys.modules["__main__"]
    main = ModuleType("__main__")
    main.__loader__ = importlib.machinery.BuiltinImporter
    if sys.version_info < (3, 14):
        main.__annotations__ = {}
    vars(main)["__builtins__"] = builtins
    sys.modules["__main__"] = main
    return main


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            source = file.read()
    except FileNotFoundError:
        raise RequestError(f"There is no script {path!r}{_near_miss(path)}") from None
    except IsADirectoryError:
        raise RequestError(
            f"{path!r} is a directory: name the script inside it, "
            "or run a package with 'gradaudit run -m PACKAGE'."
        ) from None
    except OSError as error:
        raise RequestError(f"Cannot read {path!r}: {error.strerror}.") from None
    if not _is_text(source):
        raise RequestError(
            f"{path!r} is not a Python script: it is no readable text. Name a .py file."
        )
    return source


def _near_miss(path: str) -> str:
    if os.path.isfile(f"{path}.py"):
        return f"; did you mean {path + '.py'!r}?"
    if os.sep not in path and not path.endswith(".py"):
        return f"; check the path, or use 'gradaudit run -m {path}' for a module."
    return "; check the path."


def _is_text(source: bytes) -> bool:
    if b"\0" in source:
        return False
    lines = iter(source.splitlines(keepends=True))
    try:
        encoding, _ = tokenize.detect_encoding(lambda: next(lines, b""))
        source.decode(encoding)
    except UnicodeDecodeError:
        return False
    except SyntaxError as error:  # an unknown encoding is the script's own fault; bad UTF-8 is not
        return "invalid or missing" not in str(error)
    return True
