"""The interpreter as it was before the script could change it.

Two programs share one process here, and each would spoil the other's imports:

* *Ours must not show in theirs.*  What we import before the script runs is typer and what typer
  needs, taken out of ``sys.modules`` again once the command line is parsed.  Two kinds stay:
  packages with extension modules, which may refuse to be loaded twice, and the standard library,
  of which a second ``threading`` or ``enum`` would do more harm than a first that came early.  So
  a script beside which lies a file called ``inspect.py`` gets the library's, as it does under any
  tool that runs scripts.
* *Theirs must not show in ours.*  rich, msgspec and the renderers are imported when the script is
  over, under ``restored()``: the import path, finders and builtins of before, and without whatever
  the script keeps in ``sys.modules`` under a name that we need (its own ``rich.py``, say).
  Importing them earlier would be safe too, but would delay the script's first line and leave more
  of us in its ``sys.modules``.  The rules need nothing of that kind, and are imported by the first
  look in mid-run (see ``live``).
"""

# os.path, not pathlib: file names stay as the interpreter has them.
# ruff: noqa: PTH109, PTH120

from __future__ import annotations

import builtins
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ExtensionFileLoader
from types import ModuleType
from typing import Any

#: What the end of a run imports from outside the standard library, and what that imports.
_THIRD_PARTY = frozenset(
    {
        "jinja2",
        "markdown_it",
        "markupsafe",
        "mdurl",
        "msgspec",
        "pygments",
        "rich",
        "typing_extensions",
    }
)

#: Of the standard library, but nothing of ours uses it, and setuptools puts its own in its place.
_REPLACED = frozenset({"distutils"})


def path_is_safe() -> bool:
    """Whether the interpreter was told to put no directory of the program on ``sys.path``."""
    return bool(getattr(sys.flags, "safe_path", False) or sys.flags.isolated)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A picture of the interpreter, to come back to."""

    path: tuple[str, ...]
    meta_path: tuple[Any, ...]
    builtins: dict[str, object]
    modules: dict[str, ModuleType]
    cwd: str

    @classmethod
    def take(cls) -> Surroundings:
        """Take the picture, without the directory that the interpreter put first for *us*."""
        if not path_is_safe():
            del sys.path[0]
        return cls(
            path=tuple(sys.path),
            meta_path=tuple(sys.meta_path),
            builtins=dict(vars(builtins)),
            modules=dict(sys.modules),
            cwd=_cwd(),
        )

    @classmethod
    def of_child(cls, path: tuple[str, ...], cwd: str) -> Surroundings:
        """Picture the interpreter of a process that the script has started, with our own path."""
        return cls(
            path=path,
            meta_path=tuple(sys.meta_path),
            builtins=dict(vars(builtins)),
            modules={},
            cwd=cwd,
        )

    def forget_imports(self) -> None:
        """Take what was imported since, and is not the standard library's, out of sight."""
        added = {name: _root(name) for name in sys.modules if name not in self.modules}
        compiled = {root for name, root in added.items() if _is_compiled(sys.modules[name])}
        kept = sys.stdlib_module_names | compiled | {"gradaudit"}
        for name, root in added.items():
            if root not in kept:
                del sys.modules[name]

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Import and render as if the script had never been: for the time of the block."""
        changed = dict(vars(builtins))
        vars(builtins).update(self.builtins)  # before all else: what follows uses them
        path, meta_path = sys.path, sys.meta_path
        hidden: dict[str, ModuleType] = {}
        try:
            sys.path, sys.meta_path = list(self.path), list(self.meta_path)
            hidden.update((name, sys.modules.pop(name)) for name in self.impostors())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            sys.modules.update(hidden)
            sys.path, sys.meta_path = path, meta_path
            vars(builtins).update(changed)

    def impostors(self) -> list[str]:
        """List the loaded modules with a name we need, from a place that was not on our path."""
        needed = (sys.stdlib_module_names | _THIRD_PARTY) - _REPLACED
        strangers = {
            name
            for name, module in list(sys.modules.items())
            if name in needed
            and not (name in self.modules and self.modules[name] is module)
            and not self._would_find(name, module)
        }
        return [name for name in list(sys.modules) if _root(name) in strangers]

    def _would_find(self, name: str, module: ModuleType | None) -> bool:
        file = _file_of(module)
        if not isinstance(file, str):  # built in, or else made by hand
            return module is not None and name not in _THIRD_PARTY
        directory, base = os.path.split(file)
        if base.startswith("__init__."):
            directory = os.path.dirname(directory)
        return directory in self.path


def _root(name: str) -> str:
    return name.partition(".")[0]


def _file_of(module: object) -> object:
    """Tell where a module comes from; a lazy one that is asked would be loaded, or fail to be."""
    try:
        return object.__getattribute__(module, "__dict__").get("__file__")
    except AttributeError:  # something that only stands in the place of a module
        return None


def _is_compiled(module: ModuleType) -> bool:
    return isinstance(getattr(module, "__loader__", None), ExtensionFileLoader)


def _cwd() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""
