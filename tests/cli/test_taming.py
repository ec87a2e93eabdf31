"""What a reader decides, from the files where it stands to the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradaudit.cli.commands import parse
from gradaudit.render.documents import Document
from gradaudit.taming.baseline import Baseline

from .test_commands import BROKEN


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(BROKEN)
    return tmp_path


def refusal(line: str, capsys) -> str:
    with pytest.raises(SystemExit) as leaving:
        parse(line.split())
    err = capsys.readouterr().err
    assert leaving.value.code == 2
    assert err.count("\n") == 1
    return err


def test_the_file_says_what_the_command_line_leaves_open(here):
    (here / "gradaudit.toml").write_text(
        'json = "r.json"\nfail-on = "note"\nmax-iterations = 7\nmax-seconds = 1.5\nquiet = true\n'
        'github = true\nselect = "GA102,GA201"\nignore = ["missing-zero-grad"]\nfail-fast = true\n'
    )
    asked = parse(["run", "train.py"])
    assert asked.documents == (Document("json", "r.json"),)
    assert (asked.fail_on, asked.quiet, asked.github) == ("note", True, True)
    assert asked.fail_fast
    assert (asked.limits.max_iterations, asked.limits.max_seconds) == (7, 1.5)
    assert asked.decisions.settings.select == ("GA102", "GA201")
    assert asked.decisions.settings.ignore == ("GA201",)


def test_the_command_line_wins(here):
    (here / "gradaudit.toml").write_text(
        'json = "r.json"\nfail-on = "note"\nmax-iterations = 7\nquiet = true\ngithub = true\n'
        'select = ["GA102"]\nfail-fast = true\n'
    )
    line = "run --json s.json --fail-on error --max-iterations 9 --no-quiet --no-github"
    line += " --no-fail-fast"
    asked = parse([*line.split(), "--select", "GA201", "--select", "GA401", "train.py"])
    assert asked.documents == (Document("json", "s.json"),)
    assert (asked.fail_on, asked.quiet, asked.github) == ("error", False, False)
    assert not asked.fail_fast
    assert asked.limits.max_iterations == 9
    assert asked.decisions.settings.select == ("GA201", "GA401")


def test_paths_start_from_the_file(here, monkeypatch):
    (here / "gradaudit.toml").write_text('html = "out/r.html"')
    (here / "sub").mkdir()
    monkeypatch.chdir(here / "sub")
    assert parse(["run", "t.py"]).documents == (Document("html", str(here / "out/r.html")),)


def test_other_commands_do_not_ask_for_the_file(here, capsys):
    (here / "gradaudit.toml").write_text("broken")
    for line in ("rules", "run --help", "--version"):
        with pytest.raises(SystemExit) as leaving:
            parse(line.split())
        assert not leaving.value.code
    assert "not TOML" in refusal("run train.py", capsys)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("module = true", "there is no option 'module'"),
        ('write-baseline = "x"', "there is no option 'write-baseline': did you mean 'baseline'?"),
        ("max-iterations = 0", "max-iterations: "),
        ("max-seconds = -1", "max-seconds: -1 is not in the range x>0."),
        ("max-iterations = [1]", "max-iterations cannot be [1]."),
        ('fail-on = "fatal"', "'fatal' is not one of 'error', 'warning', 'note', 'never'."),
        ('quiet = "yes"', "quiet cannot be 'yes'."),
        ("json = 3", "json cannot be 3."),
        ("select = [3]", "select cannot be [3]."),
        ('select = ["GA2O1"]', "in select there is no rule 'GA2O1': did you mean GA201"),
    ],
)
def test_what_the_file_cannot_mean_is_told_with_its_name(here, capsys, text, said):
    (here / "gradaudit.toml").write_text(text)
    err = refusal("run train.py", capsys)
    assert err.startswith(f"gradaudit: '{here}/gradaudit.toml': ")
    assert said in err


@pytest.mark.usefixtures("here")
def test_what_the_command_line_cannot_mean(capsys):
    assert refusal("run --ignore GA2O1 train.py", capsys) == (
        "gradaudit: in ignore there is no rule 'GA2O1': did you mean GA201 (missing-zero-grad)?\n"
    )
    assert "No such file" in refusal("run --baseline nosuch train.py", capsys)


def test_a_new_baseline_needs_no_old_one(here):
    (here / "gradaudit.toml").write_text('baseline = "base.json"')
    asked = parse(["run", "--write-baseline", "base.json", "train.py"])
    assert asked.documents == (Document("baseline", "base.json"),)
    assert asked.decisions.baseline == Baseline("base.json", everything=True)


def test_a_baseline_survives_line_shifts_and_lets_new_findings_through(warm, here):
    written = warm.audited(here, "run", "--write-baseline", "base.json", "train.py")
    assert written.code == 0
    assert "gradaudit: nothing else (1 known): " in written.err
    (here / "train.py").write_text(f"# moved\n\n{BROKEN}")
    again = warm.audited(here, "run", "--baseline", "base.json", "train.py")
    assert again.code == 0
    worse = BROKEN.replace("import torch", "import torch\nv = torch.ones(1, requires_grad=True)")
    (here / "train.py").write_text(worse.replace("[w]", "[w, v]"))
    failed = warm.audited(here, "run", "--baseline", "base.json", "train.py")
    assert failed.code == 1
    assert "error[GA101]" in failed.err
    assert "error[GA201]" not in failed.err


def test_a_comment_on_the_line_is_enough(warm, here):
    comment = "  # gradaudit: ignore[GA201] it is what this test is about"
    unused = "import torch  # gradaudit: ignore[GA102]"
    text = BROKEN.replace(".backward()", f".backward(){comment}").replace("import torch", unused)
    (here / "train.py").write_text(text)
    result = warm.audited(here, "run", "--json", "r.json", "train.py")
    assert result.code == 0
    report = json.loads((here / "r.json").read_text())
    assert report["findings"] == []
    assert report["suppressed"][0]["finding"]["rule"] == "GA201"
    assert report["suppressed"][0]["reason"] == "it is what this test is about"
    assert report["unused_ignores"] == ["train.py:1: no GA102 is found here"]
    assert "unused ignore: train.py:1: no GA102 is found here" in result.err
