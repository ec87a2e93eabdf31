"""One clear sentence, exit code 2, no traceback of ours, nothing lost."""

from __future__ import annotations

import os
import sys

import pytest

from gradaudit.launch.installed import require_torch
from gradaudit.launch.output import ReportFile
from gradaudit.launch.request import RequestError, RunRequest
from gradaudit.launch.target import target_of

from .twins import run, write


def refusal(action, *arguments, **keywords) -> str:
    with pytest.raises(RequestError) as caught:
        action(*arguments, **keywords)
    sentence = str(caught.value)
    assert sentence.endswith((".", "?"))
    assert "\n" not in sentence
    return sentence


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_said_from_the_command_line(tmp_path):
    result = run(tmp_path, "run", "nope.py")
    assert (result.code, result.out) == (2, "")
    assert result.err == "gradaudit: There is no script 'nope.py'; check the path.\n"


def test_no_such_script(here):
    write(here / "train.py", "")
    assert "did you mean 'train.py'?" in refusal(target_of, RunRequest("train"))
    assert "'gradaudit run -m pkg.train'" in refusal(target_of, RunRequest("pkg.train"))
    assert "There is no script" in refusal(target_of, RunRequest("a/b.py"))


def test_a_directory(here):
    (here / "pkg").mkdir()
    assert "'pkg' is a directory" in refusal(target_of, RunRequest("pkg"))


@pytest.mark.parametrize(
    "content",
    [b"\x7fELF\x02\x01\x01\0\0\0", b"\x89PNG\r\n\x1a\n", b"x = '\xe4'\n", b"print(1)\n\0\n"],
    ids=["program", "image", "latin-1 that does not say so", "null byte"],
)
def test_not_python(here, content):
    (here / "train.py").write_bytes(content)
    assert "is not a Python script" in refusal(target_of, RunRequest("train.py"))


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
def test_unreadable(here):
    write(here / "train.py", "").chmod(0)
    assert "Permission denied" in refusal(target_of, RunRequest("train.py"))


@pytest.mark.parametrize("encoding", ["latin-1", "nosuch"])
def test_text_is_left_to_the_compiler(here, encoding):
    (here / "train.py").write_bytes(f"# coding: {encoding}\nif '\xe4'\n".encode("latin-1"))
    assert target_of(RunRequest("train.py")).title == "train.py"


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("nosuch", "No module named nosuch."),
        ("nosuch.inner", "No module named 'nosuch'"),
        ("pkg", "'pkg' is a package and cannot be directly executed."),
        ("train.py", "Try using 'train' instead of 'train.py' as the module name."),
    ],
)
def test_no_such_module(tmp_path, module, said):
    write(tmp_path / "pkg/__init__.py", "")
    write(tmp_path / "train.py", "")
    result = run(tmp_path, "run", "-m", module)
    assert result.code == 2
    assert result.err.startswith(f"gradaudit: Cannot run module '{module}': ")
    assert said in result.err
    assert result.err.count("\n") == 1


def test_report_paths(here):
    (here / "pkg").mkdir()
    (here / "train.py").touch()
    for path, said in {
        "pkg": "it is a directory",
        "nosuch/report.json": f"the directory '{here}/nosuch' does not exist",
        "./pkg/../train.py": "it is what is read",
        "/proc/report.json": "name a file in a directory that you may write to",
    }.items():
        assert said in refusal(ReportFile, path, sources=["train.py"])
    assert {path.name for path in here.iterdir()} == {"pkg", "train.py"}


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unwritable for root")
def test_report_paths_without_permission(here):
    (here / "old.json").touch(0o400)
    assert "may not be written" in refusal(ReportFile, "old.json", sources=())


def test_report_is_refused_before_the_script_runs(tmp_path):
    write(tmp_path / "train.py", "print('ran')")
    result = run(tmp_path, "run", "--json", "nosuch/r.json", "train.py")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("gradaudit: Cannot write the report to 'nosuch/r.json': ")


def test_a_failed_replacement_leaves_the_old_report(here):
    (here / "r.json").write_text("old")
    file = ReportFile("r.json", sources=())
    (here / "r.json").unlink()
    (here / "r.json").mkdir()
    (here / "r.json/in the way").touch()
    with pytest.raises(OSError, match="directory"):
        file.write(b"new")
    assert [path.name for path in here.iterdir()] == ["r.json"]


def fake_torch(here, monkeypatch, version):
    write(here / "torch/__init__.py", "raise AssertionError('imported')")
    if version:
        write(here / "torch/version.py", f"from typing import Optional\n__version__ = '{version}'")
    monkeypatch.setattr(sys, "path", [str(here)])
    monkeypatch.delitem(sys.modules, "torch", raising=False)


def test_torch_too_old(here, monkeypatch):
    fake_torch(here, monkeypatch, "2.3.1+cu121")
    assert refusal(require_torch) == ("PyTorch 2.3 is too old to be audited: install 2.4 or newer.")


@pytest.mark.parametrize("version", ["2.4.0", "2.13.0+cpu", "3.0.0a0+git123", None])
def test_torch_new_enough(here, monkeypatch, version):
    fake_torch(here, monkeypatch, version)
    require_torch()


def test_torch_missing(here, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(here)])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert "not installed" in refusal(require_torch)
    (here / "torch").mkdir()  # a folder of that name is no torch
    sys.path_importer_cache.clear()
    assert "not installed" in refusal(require_torch)
