"""The interpreter as it was before the script, while the script may still run in other threads."""

from __future__ import annotations

import builtins
import sys
from types import ModuleType

import pytest

from gradaudit.launch.surroundings import Surroundings


class Meanwhile(str):
    """The name of a module; while somebody looks at it, a thread imports another one."""

    __slots__ = ()

    def partition(self, sep):
        sys.modules.setdefault("imported_meanwhile", sys)
        return super().partition(sep)


def test_a_thread_may_import_while_the_report_is_made(monkeypatch):
    surroundings = Surroundings.of_child(tuple(sys.path), "/")
    monkeypatch.setitem(sys.modules, Meanwhile("looked_at"), sys)
    try:
        assert "looked_at" not in surroundings.impostors()
        assert "imported_meanwhile" in sys.modules
    finally:
        sys.modules.pop("imported_meanwhile", None)


class Lazy(ModuleType):
    """Stands for a module until it is asked for anything; then it would be loaded."""

    def __getattribute__(self, name):
        raise ImportError(name)


def test_a_lazy_module_is_not_asked(monkeypatch):
    surroundings = Surroundings.of_child(tuple(sys.path), "/")
    monkeypatch.setitem(sys.modules, "rich", Lazy("rich"))
    assert "rich" in surroundings.impostors()


def test_what_cannot_be_restored_is_left_as_the_script_has_it(monkeypatch):
    surroundings = Surroundings.of_child((), "/")
    monkeypatch.setitem(sys.modules, "rich", Lazy("rich"))
    monkeypatch.setitem(sys.modules, 7, sys)  # which is no name
    monkeypatch.setattr(builtins, "print", None)
    path, modules = sys.path, dict(sys.modules)
    with pytest.raises(AttributeError), surroundings.restored():
        pytest.fail("it could not be restored")
    assert (sys.path, sys.modules, builtins.print) == (path, modules, None)


def test_what_setuptools_puts_in_the_place_of_distutils_is_no_impostor(monkeypatch):
    surroundings = Surroundings.of_child(tuple(sys.path), "/")
    replaced = ModuleType("distutils")
    replaced.__file__ = "/elsewhere/setuptools/_distutils/__init__.py"
    monkeypatch.setitem(sys.modules, "distutils", replaced)
    assert "distutils" not in surroundings.impostors()
