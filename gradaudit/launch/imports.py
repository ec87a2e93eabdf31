"""A call right after the script's own ``import torch``.

We must not import torch first: scripts set ``OMP_NUM_THREADS`` or ``CUDA_VISIBLE_DEVICES`` before
they do.  So a finder stands first on ``sys.meta_path``, asks the others for the module's spec, and
puts an ``exec_module`` on *that one loader object* which, when it is called, first takes itself
off again.  The module's own code already runs under the loader as it always was; spec, pickling
and reload are as in plain Python.  An import that fails may be tried again: the finder leaves
only when the module was executed to its end.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

#: Importlib cuts frames with this file name out of the traceback of a failed import.
_IMPORTLIB = "<frozen importlib._bootstrap>"


class AfterImport:
    """Call ``callback`` once, in the importing thread, when module ``name`` has been executed."""

    def __init__(self, name: str, callback: Callable[[], None]) -> None:
        self._name = name
        self._callback = callback
        self._attended: dict[int, object] = {}  # held, so that an id stays its own
        self.fired = False

    def arm(self) -> None:
        """Stand before all other finders, so that none of them can answer first."""
        sys.meta_path.insert(0, self)

    def disarm(self) -> None:
        """Leave ``sys.meta_path``, if the script has not thrown us off it."""
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(self)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Answer for our module alone, with what the next finder says."""
        if fullname != self._name or self.fired:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    self._attend(spec.loader)
                return spec
        return None

    def _attend(self, loader: Any) -> None:  # noqa: ANN401 - a loader, and an attribute of it
        if isinstance(loader, type) or id(loader) in self._attended:
            return
        execute, attended, executed = loader.exec_module, self._attended, self._executed
        name = self._name

        def exec_module(module: ModuleType) -> None:
            if module.__name__ != name:  # a loader that serves many modules
                execute(module)
                return
            del loader.exec_module
            del attended[id(loader)]
            execute(module)
            executed()

        exec_module.__code__ = exec_module.__code__.replace(co_filename=_IMPORTLIB)
        with contextlib.suppress(AttributeError):  # a loader that takes no attributes is let be
            loader.exec_module = exec_module
            attended[id(loader)] = loader

    def _executed(self) -> None:
        if not self.fired:
            self.fired = True
            self.disarm()
            self._callback()
