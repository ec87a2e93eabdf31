"""Told while the script runs: findings that are proven, and how far it is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gradaudit.launch import live
from gradaudit.launch.live import Pace

from .test_endings import BROKEN
from .twins import environment, write

#: Columns are known from Python 3.11 on.
PLACE = "train.py:8:9" if sys.version_info >= (3, 11) else "train.py:8"
LINE = re.compile(rf"^gradaudit: error\[GA201\] missing-zero-grad: .* --> {PLACE}$", re.M)

#: Says where it is on the stream that we speak on as well.
SPEAKING = BROKEN + (
    "atexit.register(print, 'atexit')\n"
    "try:\n    train({passes})\n"
    "finally:\n    print('finally'); print('over', file=sys.stderr, flush=True)\n"
)


def test_it_is_told_once_before_the_script_is_over_and_again_in_the_report(audit):
    result, report = audit(SPEAKING.format(passes=40))
    early, late = result.err.split("over\n")
    assert len(LINE.findall(early)) == 1
    assert early.count("\n") == 1
    assert late.startswith("error[GA201] missing-zero-grad")
    assert [finding["rule"] for finding in report["findings"]] == ["GA201"]
    assert report["run"]["iterations"] == 40


@pytest.mark.parametrize(
    ("comment", "options"),
    [("", ("-q",)), ("  # gradaudit: ignore[GA201] meant", ()), ("", ("--ignore", "GA201"))],
)
def test_who_does_not_want_to_hear_it_is_not_told(audit, comment, options):
    source = SPEAKING.format(passes=40).replace(".backward()", f".backward(){comment}")
    result, _ = audit(source, *options)
    assert result.err.startswith("over\n")


def test_what_is_known_is_not_told(warm, tmp_path):
    write(tmp_path / "train.py", SPEAKING.format(passes=40))
    warm.audited(tmp_path, "run", "-q", "--write-baseline", "known.json", "train.py")
    result = warm.audited(tmp_path, "run", "--baseline", "known.json", "--fail-fast", "train.py")
    assert result.err.startswith("over\n")
    assert result.code == 0


def test_fail_fast_stops_the_training(audit):
    result, report = audit(SPEAKING.format(passes=10**9), "--fail-fast")
    assert result.out == "finally\natexit\n"
    assert result.code == 1
    assert "Traceback" not in result.err
    assert LINE.match(result.err)
    facts = report["run"]
    assert (facts["outcome"], facts["exit_code"]) == ("stopped", 0)
    assert facts["stopped_by"] == "--fail-fast at GA201 missing-zero-grad"
    assert facts["iterations"] == 4
    assert "; stopped by --fail-fast at GA201 missing-zero-grad" in result.err


def test_fail_fast_stops_once_more_where_the_script_goes_on(audit):
    source = BROKEN + (
        "for _ in range(2):\n    try:\n        train(50)\n"
        "    except SystemExit:\n        print('caught')\n"
    )
    result, report = audit(source, "-q", "--fail-fast")
    assert result.out == "caught\ncaught\n"
    assert (result.code, report["run"]["iterations"]) == (1, 4)


def test_fail_fast_is_about_what_makes_the_run_fail(audit):
    source = SPEAKING.format(passes=40)
    result, report = audit(source, "--fail-fast", "--fail-on", "never")
    assert LINE.match(result.err)
    assert (result.code, report["run"]["outcome"]) == (0, "completed")


THAWED = """
import contextlib, sys, torch
first, last = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD([*first.parameters(), *last.parameters()], lr=0.01)
for step in range(40):
    with torch.no_grad() if step < 20 else contextlib.nullcontext():
        h = first(torch.ones(1, 2))
    optimizer.zero_grad()
    last(h).sum().backward()
    optimizer.step()
"""


def test_what_is_overtaken_by_what_comes_later_is_said_to_be(audit):
    result, report = audit(THAWED)
    early, late = result.err.split("\n", 1)
    assert early.startswith("gradaudit: error[GA102] graph-cut: ")
    assert late.startswith(
        early.replace("gradaudit: ", "gradaudit: What came later has overtaken ")
    )
    assert report["findings"] == []
    assert result.code == 0


TOLD_IN_A_THREAD = BROKEN + (
    "thread = threading.Thread(target=train, args=(40,)); thread.start(); thread.join()\n"
    "print('over', file=sys.stderr, flush=True)\n"
)


def test_training_in_a_thread_is_told_of_and_stopped_as_well(audit):
    result, _ = audit(TOLD_IN_A_THREAD)
    assert len(LINE.findall(result.err.split("over\n")[0])) == 1
    result, report = audit(TOLD_IN_A_THREAD, "--fail-fast")
    assert report["run"]["iterations"] == 4
    assert result.code == 1


def test_a_module_in_the_place_of_one_that_we_need_is_left_alone(audit):
    source = SPEAKING.format(passes=40) + "print(sys.modules['hashlib'].mine)\n"
    source = source.replace(
        "import torch\n",
        "import torch, types\n"
        "theirs = sys.modules['hashlib'] = types.ModuleType('hashlib')\n"
        "theirs.mine, theirs.__file__ = True, '/theirs/hashlib.py'\n",
    )
    result, report = audit(source)
    assert result.err.startswith("over\n")
    assert result.out == "finally\nTrue\natexit\n"
    assert report["findings"][0]["fingerprint"]


NEEDED = """
import sys
from gradaudit.launch.surroundings import Surroundings
surroundings = Surroundings.take()
from gradaudit.cli.commands import parse
parse(["run", "train.py"])
import gradaudit.launch.session
surroundings.forget_imports()
import torch, gradaudit.observe.recorder
assert not surroundings.impostors()
before = set(sys.modules)
import gradaudit.launch.proofs
print(*sorted(name for name in sys.modules.keys() - before if not name.startswith("gradaudit.")))
"""


def test_the_first_look_imports_nothing_but_modules_of_ours(tmp_path):
    command = [sys.executable, "-c", NEEDED]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"


class Clock:
    def __init__(self, monkeypatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(live.time, "monotonic", lambda: self.now)


def test_looks_come_ever_more_seldom_and_only_as_the_budget_allows(monkeypatch):
    clock, pace = Clock(monkeypatch), Pace()
    looks = []
    for iteration in range(1, 20_001):
        clock.now += 0.01
        if iteration >= pace.due and pace.affords(iteration):
            looks.append(iteration)
            pace.took(0.1)
    assert looks == [4, 2048, 4096, 8192, 16_384]
    assert 0.1 * len(looks[1:]) <= 0.005 * clock.now


# -- on a terminal -------------------------------------------------------------------------------


def on_a_terminal(directory: Path, *command: str, **env: str) -> bytes:
    """Everything that the terminal of a session of its own is sent."""
    clean = {**environment(), "TERM": "xterm", "NO_COLOR": "", "CI": "", **env}
    spawn = "import pty, sys; pty.spawn(sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-c", spawn, sys.executable, *command],
        cwd=directory,
        env=clean,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    ).stdout


#: Iterations of a hundredth of a second each, by a clock of its own, behind half a line of its own.
TITLED = """
import os, sys, time
from gradaudit.launch.progress import progress_on
now = 0.0
time.monotonic = lambda: now
progress = progress_on(sys.stderr, os.environ)
print("half", end="", flush=True)
due = 0
for iteration in range(1, 131):
    now += 0.01
    if progress is not None and iteration >= due:
        due = progress.attend(iteration, 0.001 * iteration)
if progress is not None:
    progress.close()
print(" a line")
"""

TITLE = re.compile(rb"\x1b\]2;gradaudit: (\d+) iterations, (\d+)/s, audit (\d+\.\d) %\x07")


def test_the_title_tells_how_far_it_is_and_is_given_back(tmp_path):
    sent = on_a_terminal(tmp_path, "-c", TITLED)
    assert TITLE.findall(sent) == [(b"51", b"100", b"10.0"), (b"101", b"100", b"10.0")]
    kept, screen, given_back = b"\x1b[22;0t", TITLE.sub(b"", sent), b"\x1b[23;0t"
    assert screen == b"half" + kept + given_back + b" a line\r\n"


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"TERM": ""}, {"NO_COLOR": "1"}, {"CI": "true"}])
def test_who_does_not_want_a_title_gets_none(tmp_path, env):
    assert on_a_terminal(tmp_path, "-c", TITLED, **env) == b"half a line\r\n"


def test_on_a_terminal_a_finding_begins_a_line_of_its_own(tmp_path):
    source = SPEAKING.format(passes=40).replace(
        "try:\n", "print('half', end='', flush=True)\ntry:\n"
    )
    write(tmp_path / "train.py", source)
    sent = on_a_terminal(
        tmp_path, "-m", "gradaudit", "run", "--json", "r.json", "train.py", NO_COLOR="1"
    )
    assert b"half\r\ngradaudit: error[GA201]" in sent
    assert json.loads((tmp_path / "r.json").read_text())["summary"]["error"] == 1
