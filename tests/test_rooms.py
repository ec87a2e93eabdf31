"""Each package's docstring is its table of contents: it names every module, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import gradaudit

ROOT = Path(gradaudit.__file__).parent
PACKAGES = sorted(path.parent for path in ROOT.glob("**/__init__.py") if path.parent != ROOT)


def contents(package: Path) -> set[str]:
    """What is in a package, but for the modules of single rules: ``catalogue`` lists these."""
    modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
    modules |= {path.parent.name for path in package.glob("*/__init__.py")}
    return {name for name in modules if not re.match(r"ga\d", name)}


def told(package: Path) -> str:
    return ast.get_docstring(ast.parse((package / "__init__.py").read_text("utf-8"))) or ""


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_is_named_and_only_modules_stand_in_the_margin(package):
    names = set(re.findall(r"``(\w+)``", told(package)))
    assert contents(package) - names == set()
    margin = set(re.findall(r"^``(\w+)``", told(package), re.MULTILINE))
    assert {each for each in margin if not (package / each).exists()} <= contents(package)
