from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import CodeType

import pytest
import torch

import gradaudit
from gradaudit.model.sites import TRAMPOLINE
from gradaudit.observe.sites import SiteBook, UserCode
from gradaudit.observe.source import SourceBook, Text


def code(path: str | Path, name: str | None = None) -> CodeType:
    made = compile("pass", str(path), "exec")
    return made if name is None else made.replace(co_name=name)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text("pass\n", encoding="utf-8")
    return path


def test_the_main_file_and_its_neighbours_are_the_users(script: Path):
    user = UserCode(str(script))
    assert user.owns(code(script))
    assert user.owns(code(script.parent / "models" / "net.py"))


@pytest.mark.parametrize("module", [os, json, torch, torch.optim, pytest, gradaudit])
def test_libraries_are_not(script: Path, module: object):
    assert not UserCode(str(script)).owns(code(module.__file__))  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", ["<string>", "<frozen importlib._bootstrap>", "<gradaudit>"])
def test_code_without_a_file_is_not(script: Path, path: str):
    assert not UserCode(str(script)).owns(code(path))


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages"])
def test_installed_packages_of_another_place_are_not(script: Path, folder: str):
    path = script.parent / "env" / "lib" / folder / "package" / "module.py"
    assert not UserCode(str(script)).owns(code(path))


def test_our_trampoline_is_not_even_under_the_users_file(script: Path):
    assert not UserCode(str(script)).owns(code(script, TRAMPOLINE))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "site-packages" / "trainer"
    (root / "inner").mkdir(parents=True)
    for folder in (root, root / "inner"):
        (folder / "__init__.py").write_text("", encoding="utf-8")
    (root / "inner" / "main.py").write_text("pass\n", encoding="utf-8")
    return root


def test_an_installed_package_that_is_run_is_the_users_as_a_whole(package: Path):
    user = UserCode(str(package / "inner" / "main.py"))
    assert user.owns(code(package / "inner" / "main.py"))
    assert user.owns(code(package / "models.py"))
    assert not user.owns(code(package.parent / "other" / "module.py"))
    assert not user.owns(code(package.parent / "trainer_extras" / "module.py"))


def test_an_installed_file_outside_any_package_is_the_users_alone(tmp_path: Path):
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "tool.py").write_text("pass\n", encoding="utf-8")
    user = UserCode(str(folder / "tool.py"))
    assert user.owns(code(folder / "tool.py"))
    assert not user.owns(code(folder / "other.py"))
    assert not user.owns(code(folder / "tool.pyx"))


def test_without_a_main_file_everything_but_libraries_is_the_users(tmp_path: Path):
    user = UserCode(None)
    assert user.owns(code(tmp_path / "train.py"))
    assert not user.owns(code(torch.__file__))


def test_every_file_is_judged_once(script: Path):
    user = UserCode(str(script))
    user.owns(code(script))
    user.owns(code(torch.__file__))
    assert user.seen == {str(script): True, torch.__file__: False}


def test_a_link_to_a_library_is_a_library(script: Path):
    link = script.parent / "linked.py"
    link.symlink_to(json.__file__)
    assert not UserCode(str(script)).owns(code(link))


# -- sites ---------------------------------------------------------------------------------------


@pytest.fixture
def book(script: Path) -> SiteBook:
    return SiteBook(UserCode(str(script)), SourceBook(), str(script.parent))


def run(script: Path, text: str, **names: object) -> dict[str, object]:
    script.write_text(text, encoding="utf-8")
    variables = dict(names)
    exec(compile(text, str(script), "exec"), variables)  # noqa: S102
    return variables


def test_a_site_knows_its_line_its_columns_and_its_loop(script: Path, book: SiteBook):
    sites = []
    run(
        script,
        "for x in range(3):\n    note(); note()\n",
        note=lambda: sites.append(book.here(sys._getframe(1))),
    )
    first, second = sites[:2]
    assert sites == [first, second] * 3  # one place, one object
    assert first is not second
    location = first.location
    assert (location.path, location.line, location.source) == ("train.py", 2, "    note(); note()")
    assert location.function is None
    assert first.loop.line == 1
    assert first.loop.source == "for x in range(3):"
    if sys.version_info >= (3, 11):
        assert (location.column, location.end_column) == (5, 11)
        assert (second.location.column, second.location.end_column) == (13, 19)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="columns are known from Python 3.11 on")
def test_columns_count_characters_and_not_bytes(script: Path, book: SiteBook):
    sites = []
    run(script, "größe = 'äöü'; note()\n", note=lambda: sites.append(book.here(sys._getframe(1))))
    location = sites[0].location
    assert location.source[location.column - 1 : location.end_column - 1] == "note()"


def test_the_function_and_the_loop_of_its_caller_are_known(script: Path, book: SiteBook):
    sites = []
    run(
        script,
        "def step():\n    note()\nwhile not done():\n    step()\n",
        note=lambda: sites.append(book.here(sys._getframe(1))),
        done=lambda: bool(sites),
    )
    assert sites[0].location.function == "step"
    assert sites[0].loop.line == 3


def test_beneath_a_library_the_users_line_is_named_and_the_librarys_kept(
    script: Path, book: SiteBook
):
    sites = []
    run(
        script,
        "import json\njson.dumps(object(), default=note)\n",
        note=lambda _: sites.append(book.here(sys._getframe(1))),
    )
    assert sites[0].location.line == 2
    assert sites[0].library is not None
    assert sites[0].library.path.endswith("encoder.py")


def test_torchs_own_lines_are_not_the_librarys(script: Path, book: SiteBook, tmp_path: Path):
    library = tmp_path / "site-packages" / "loops.py"
    library.parent.mkdir()
    names = run(library, "def a(loss):\n    loss.backward()\n\ndef b(loss):\n    loss.backward()\n")
    sites = []

    class Told(torch.autograd.Function):
        @staticmethod
        def forward(_, x):
            return x.clone()

        @staticmethod
        def backward(_, gradient):
            sites.append(book.here(sys._getframe(1)))
            return gradient

    text = "for each in (a, b, b, torch.Tensor.backward):\n    each(make())\n"
    run(
        script,
        text,
        torch=torch,
        make=lambda: Told.apply(torch.ones(1, requires_grad=True)),
        **names,
    )
    first, second, again, own = sites
    assert second is again
    assert len({first, second, own}) == 3
    assert [site.location.line for site in sites] == [2, 2, 2, 2]
    assert (first.library.line, second.library.line, own.library) == (2, 5, None)


def test_no_user_on_the_stack_is_no_site(book: SiteBook, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(book.user, "owns", lambda _: False)
    assert book.here(sys._getframe()) is None
    assert book.root_text(sys._getframe()) is None


def test_the_root_of_a_backward_is_called_as_the_user_calls_it(script: Path, book: SiteBook):
    texts = []
    tensor = torch.ones(1, requires_grad=True)
    tensor.register_hook(lambda _: None)
    run(
        script,
        "class Loss:\n    def backward(self): note()\ntotal_loss = Loss()\ntotal_loss.backward()\n",
        note=lambda: texts.append(book.root_text(sys._getframe(2))),
    )
    assert texts == ["total_loss"]


def test_the_site_of_a_text_is_one_object(script: Path, book: SiteBook):
    script.write_text("w = make()\n", encoding="utf-8")
    text = Text(1, 1, 1, 11)
    site = book.at(str(script), text)
    assert book.at(str(script), text) is site
    assert site.location.source == "w = make()"
    assert book.assigned_name(site) == "w"


def test_paths_are_shown_relative_where_that_is_shorter(script: Path, book: SiteBook):
    assert book.shown(str(script)) == "train.py"
    assert book.shown("train.py") == "train.py"
    outside = str(script.parent.parent / "elsewhere.py")
    assert book.shown(outside) == outside
    sibling = str(script.parent) + "-2/train.py"
    assert book.shown(sibling) == sibling
