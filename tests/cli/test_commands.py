"""What the command line means, and what it costs to ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradaudit import __version__
from gradaudit.cli.commands import parse
from gradaudit.launch.request import RunRequest
from gradaudit.model.run import Limits
from gradaudit.render.checkout import Checkout
from gradaudit.render.documents import Document

REPOSITORY = Path(__file__).resolve().parents[2]


def loaded_by(*arguments: str) -> set[str]:
    """The modules that a process has loaded when it has done what it was asked."""
    code = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
    code += "from gradaudit.cli.app import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("run train.py", RunRequest("train.py")),
        (
            "run train.py --lr 3 -x --help -m a --json b -- -q",
            RunRequest(
                "train.py", args=("--lr", "3", "-x", "--help", "-m", "a", "--json", "b", "--", "-q")
            ),
        ),
        ("run -m a.b --json x", RunRequest("a.b", module=True, args=("--json", "x"))),
        ("run -q -m -- a -m", RunRequest("a", module=True, args=("-m",), quiet=True)),
        ("run -- -x.py --", RunRequest("-x.py", args=("--",))),
        (
            "run --json r --max-iterations 3 --max-seconds .5 --fail-on note --fail-fast -q t.py",
            RunRequest(
                "t.py",
                documents=(Document("json", "r"),),
                limits=Limits(3, 0.5),
                fail_on="note",
                fail_fast=True,
                quiet=True,
            ),
        ),
        (
            "run --html h --sarif s --markdown m --junit j --github t.py",
            RunRequest(
                "t.py",
                documents=(
                    Document("html", "h"),
                    Document("sarif", "s"),
                    Document("markdown", "m"),
                    Document("junit", "j"),
                ),
                github=True,
            ),
        ),
    ],
)
def test_parse(line, request_):
    assert parse(line.split()) == request_


def test_github_actions_asks_by_itself(monkeypatch, tmp_path):
    summary = str(tmp_path / "summary.md")
    for name, value in {
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": summary,
        "GITHUB_WORKSPACE": "/w",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "ada/net",
        "GITHUB_SHA": "1234",
    }.items():
        monkeypatch.setenv(name, value)
    asked = parse(["run", "t.py"])
    assert asked.github
    assert asked.documents == (Document("markdown", summary, append=True),)
    assert asked.checkout == Checkout("/w", "https://github.com/ada/net/blob/1234")
    declined = parse(["run", "--no-github", "t.py"])
    assert not declined.github
    assert declined.documents == ()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/not/mounted/summary.md")
    assert parse(["run", "t.py"]).documents == ()


def test_an_empty_argument_is_passed_on():
    assert parse(["run", "t.py", "", "a b"]).args == ("", "a b")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run", "Missing argument 'SCRIPT'"),
        ("run -m", "Missing argument 'SCRIPT'"),
        ("run --max-iterations 0 t.py", "'--max-iterations'"),
        ("run --max-iterations x t.py", "'--max-iterations'"),
        ("run --max-seconds 0 t.py", "'--max-seconds': 0 is not in the range x>0"),
        ("run --max-seconds nan t.py", "'--max-seconds': nan is not in the range x>0"),
        ("run --fail-on fatal t.py", "'--fail-on'"),
        ("run --lr 3 t.py", "No such option: --lr"),
        ("audit t.py", "No such command 'audit'"),
        ("show", "Missing argument 'REPORT'"),
        ("show nosuch.json", "Cannot read the report 'nosuch.json': No such file or directory."),
    ],
)
def test_usage_errors(line, said, capsys):
    hook = sys.excepthook
    with pytest.raises(SystemExit) as leaving:
        parse(line.split())
    captured = capsys.readouterr()
    assert leaving.value.code == 2
    assert said in captured.err
    assert captured.out == ""
    assert sys.excepthook is hook


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\0", b'{"schema_version": 99}', b"[1]"])
def test_a_damaged_or_foreign_report(tmp_path, capsys, content):
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(SystemExit) as leaving:
        parse(["show", str(path)])
    err = capsys.readouterr().err
    assert leaving.value.code == 2
    assert err.startswith("gradaudit: ")
    assert err.count("\n") == 1


def test_an_unknown_rule(capsys):
    with pytest.raises(SystemExit) as leaving:
        parse(["explain", "missing-zero-gard"])
    assert leaving.value.code == 2
    assert "missing-zero-grad" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["rules", "explain GA201", "--help", "run --help", "--version"])
def test_asking(line, capsys):
    with pytest.raises(SystemExit) as leaving:
        parse(line.split())
    assert not leaving.value.code
    out = capsys.readouterr().out
    assert {
        "rules": "GA201",
        "explain GA201": "missing-zero-grad",
        "--help": "gradaudit explain GA201\n",
        "run --help": "    gradaudit run -m project.train --epochs 1\n",
        "--version": f"gradaudit {__version__}\n",
    }[line] in out


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("run", "[OPTIONS] [-m] SCRIPT [ARGS]..."),
        ("show", "[OPTIONS] REPORT"),
        ("diff", "[OPTIONS] BEFORE AFTER"),
        ("merge", "[OPTIONS] REPORTS..."),
        ("rules", "[OPTIONS]"),
        ("explain", "[OPTIONS] RULE"),
    ],
)
def test_the_usage_is_told_as_one_would_write_it(command, usage, capsys):
    with pytest.raises(SystemExit):
        parse([command, "--help"])
    assert capsys.readouterr().out.splitlines()[0] == f"Usage: gradaudit {command} {usage}"


def test_help_imports_little():
    loaded = loaded_by("--help")
    assert "typer" in loaded
    assert not loaded & {"torch", "numpy", "rich", "msgspec", "jinja2", "gradaudit.launch.session"}
    assert not {name for name in loaded if name.startswith("gradaudit.embed")}
    assert "torch" not in loaded_by("rules")


def test_a_neighbour_called_like_a_library_of_ours(tmp_path):
    for name in ("typer", "rich", "gradaudit_neighbour", "msgspec", "typing_extensions"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not yours')")
    result = subprocess.run(
        [sys.executable, "-m", "gradaudit", "rules"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "GA201" in result.stdout


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("ex", ["explain"]),
        ("explain GA40", [f"GA40{number}" for number in range(1, 8)]),
        ("explain GA999", []),
        ("explain zero-", ["zero-before-step", "zero-gradient"]),
        ("run --select GA50", ["GA501", "GA502"]),
        ("run --ignore GA201,GA50", ["GA201,GA501", "GA201,GA502"]),
        ("run train", []),  # the shell then offers files
    ],
)
def test_completion(warm, tmp_path, line, offered):
    result = warm.audited(
        tmp_path,
        _GRADAUDIT_COMPLETE="complete_bash",
        COMP_WORDS=f"gradaudit {line}",
        COMP_CWORD=str(len(line.split())),
    )
    assert result.out.split() == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_can_be_had(warm, tmp_path, shell):
    script = warm.audited(tmp_path, _GRADAUDIT_COMPLETE=f"source_{shell}").out
    assert "complete_" + shell in script


def test_show_prints_what_run_printed(warm, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import torch\nw = torch.ones(1, requires_grad=True)\n"
        "for _ in range(3):\n    w.grad = None\n    (w * 2).sum().backward()\n"
        "    w.data -= w.grad\n"
    )
    report = tmp_path / "report.json"
    run = warm.audited(tmp_path, "run", "--json", str(report), str(script))
    shown = warm.audited(tmp_path, "show", str(report))
    assert json.loads(report.read_bytes())["run"]["target"] == str(script)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == run.err


BROKEN = """import torch
w = torch.ones(1, requires_grad=True)
opt = torch.optim.SGD([w], lr=0.1)
for _ in range(3):
    (w * 2).sum().backward()
    opt.step()
"""


def test_run_writes_what_it_is_asked_for_and_show_writes_the_same_later(warm, tmp_path):
    (tmp_path / "train.py").write_text(BROKEN)
    summary, root = tmp_path / "summary.md", str(tmp_path)
    summary.write_text("of another step\n")
    actions = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_WORKSPACE": root}
    others = ("html", "sarif", "markdown", "junit")
    files = [f"--{kind}={root}/run.{kind}" for kind in ("json", *others)]
    run = warm.audited(
        tmp_path, "run", *files, f"{root}/train.py", GITHUB_ACTIONS="true", **actions
    )
    assert run.code == 1
    assert run.out == ""
    column = ",col=5,endColumn=" if sys.version_info >= (3, 11) else ","  # known from then on
    assert f"\n::error file=train.py,line=5{column}" in run.err
    markdown = (tmp_path / "run.markdown").read_text()
    assert summary.read_text() == f"of another step\n{markdown}"
    again = [f"--{kind}={root}/show.{kind}" for kind in others]
    shown = warm.audited(tmp_path, "show", f"{root}/run.json", *again, "--github", **actions)
    assert (shown.code, shown.err, shown.out) == (0, "", run.err)
    for kind in others:
        written, first = tmp_path / f"show.{kind}", tmp_path / f"run.{kind}"
        assert written.read_text() == first.read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--sarif", "nosuch/r.sarif"), "Cannot write the report to 'nosuch/r.sarif': "),
        (("--sarif", "train.py"), "Cannot write the report to 'train.py': it is what is read"),
        (("--sarif", "r", "--markdown", "./r"), "Two reports cannot both be 'r'"),
    ],
)
def test_files_that_cannot_be_written_are_told_before_the_run(warm, tmp_path, options, said):
    (tmp_path / "train.py").write_text("print('ran')")
    result = warm.audited(tmp_path, "run", *options, "train.py")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"gradaudit: {said}")
    assert result.err.count("\n") == 1


def test_show_never_overwrites_what_it_reads(warm, tmp_path):
    (tmp_path / "train.py").write_text(BROKEN)
    warm.audited(tmp_path, "run", "--json", "r.json", "train.py")
    before = (tmp_path / "r.json").read_bytes()
    shown = warm.audited(tmp_path, "show", "r.json", "--markdown", "r.json")
    assert shown.code == 2
    assert "it is what is read" in shown.err
    assert (tmp_path / "r.json").read_bytes() == before


def test_diff_fails_on_what_is_new(warm, tmp_path):
    (tmp_path / "train.py").write_text(BROKEN)
    warm.audited(tmp_path, "run", "--json", "broken.json", "train.py")
    (tmp_path / "train.py").write_text(
        BROKEN.replace("    opt.step()", "    opt.step()\n    w.grad = None")
    )
    warm.audited(tmp_path, "run", "--json", "mended.json", "train.py")
    worse = warm.audited(tmp_path, "diff", "mended.json", "broken.json")
    assert (worse.code, worse.err) == (1, "")
    assert "new:\nerror[GA201]" in worse.out
    assert "another life: w: was fresh, now fresh, then stale" in worse.out
    better = warm.audited(tmp_path, "diff", "broken.json", "mended.json")
    assert better.code == 0
    assert "gone: error[GA201]" in better.out
    missing = warm.audited(tmp_path, "diff", "broken.json", "nosuch.json")
    assert missing.code == 2
    assert missing.err == (
        "gradaudit: Cannot read the report 'nosuch.json': No such file or directory.\n"
    )
