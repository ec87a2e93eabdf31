"""A call right after an import, and no trace of it in the module."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback

import pytest

from gradaudit.launch.imports import AfterImport

from .twins import write

NAME = "imported_by_a_test"


@pytest.fixture
def calls(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    called: list[int] = []
    yield called
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


@pytest.fixture
def hook(calls):
    hook = AfterImport(NAME, lambda: calls.append(sys.modules[NAME].x))
    hook.arm()
    return hook


def test_called_once_after_the_module_ran(tmp_path, hook, calls):
    write(tmp_path / NAME / "__init__.py", "seen = vars(__loader__).copy(), __spec__.loader\nx = 1")
    write(tmp_path / NAME / "inner.py", "")
    module = importlib.import_module(f"{NAME}.inner") and sys.modules[NAME]
    assert calls == [1]
    assert hook not in sys.meta_path
    assert "exec_module" not in module.seen[0]
    assert module.seen[1] is module.__loader__ is module.__spec__.loader
    write(tmp_path / NAME / "__init__.py", "x = 22")
    importlib.invalidate_caches()
    assert importlib.reload(module).x == 22
    assert calls == [1]


def test_other_modules_are_none_of_its_business(hook):
    assert hook.find_spec("json", None) is None
    assert hook.find_spec(f"{NAME}.inner", None) is None


def test_missing_module(hook, calls):
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(NAME)
    assert hook in sys.meta_path
    assert not calls


def test_failing_import_may_be_tried_again(tmp_path, hook, calls):
    file = write(tmp_path / f"{NAME}.py", "x = 1\nimport os.nothing")
    with pytest.raises(ModuleNotFoundError) as hooked:
        __import__(NAME)
    hook.disarm()
    with pytest.raises(ModuleNotFoundError) as plain:
        __import__(NAME)
    hook.arm()
    names = [
        [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        for caught in (hooked, plain)
    ]
    assert names[0] == names[1]
    assert not calls
    file.write_text("x = 333")
    importlib.invalidate_caches()
    importlib.import_module(NAME)
    assert calls == [333]


def test_looking_is_not_importing(tmp_path, hook, calls):
    write(tmp_path / f"{NAME}.py", "x = 1")
    spec = importlib.util.find_spec(NAME)
    assert spec.origin == str(tmp_path / f"{NAME}.py")
    assert not calls
    importlib.import_module(NAME)
    twin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(twin)
    assert (calls, twin.x, hook.fired) == ([1], 1, True)


class Shared:
    """A finder that is the loader of all it finds, as pytest's is."""

    def find_spec(self, name, path, target=None):
        del path, target
        known = name in (NAME, f"{NAME}_other")
        return importlib.util.spec_from_loader(name, self) if known else None

    def create_module(self, spec):
        del spec

    def exec_module(self, module):
        module.x = len(module.__name__)


@pytest.mark.usefixtures("hook")
def test_a_loader_of_many_modules(calls):
    shared = Shared()
    sys.meta_path.insert(1, shared)
    assert importlib.util.find_spec(NAME).loader is shared
    importlib.util.find_spec(NAME)
    importlib.import_module(f"{NAME}_other")
    assert not calls
    importlib.import_module(NAME)
    assert calls == [len(NAME)]
    assert not vars(shared)
    del sys.modules[f"{NAME}_other"]


class AsClass:
    """A loader that is a class: an attribute of it would stay for good."""

    @classmethod
    def find_spec(cls, name, path, target=None):
        del path, target
        return importlib.util.spec_from_loader(name, cls) if name == NAME else None

    @staticmethod
    def create_module(spec):
        del spec

    @staticmethod
    def exec_module(module):
        module.x = 5


def test_a_loader_that_is_a_class_is_let_be(hook, calls):
    before = AsClass.exec_module
    sys.meta_path.insert(1, AsClass)
    assert importlib.import_module(NAME).x == 5
    assert AsClass.exec_module is before
    assert not calls
    assert not hook.fired


def test_thrown_off_the_path(tmp_path, hook, calls):
    write(tmp_path / f"{NAME}.py", "x = 1")
    sys.meta_path.remove(hook)
    importlib.import_module(NAME)
    hook.disarm()
    assert not calls
    assert not hook.fired
