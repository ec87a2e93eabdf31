"""However the script ends, the report is written, and the end is the script's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from .twins import Result, Twins, environment, run, write

#: Accumulates over its iterations without clearing: one error.
BROKEN = """\
import atexit, os, signal, sys, threading, time
import torch

w = torch.ones(2, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)
def train(iterations=3):
    for _ in range(iterations):
        (w * 2).sum().backward()
        optimizer.step()
"""

HEALTHY = """\
import os, sys
import torch

w = torch.ones(2, requires_grad=True)
for _ in range(3):
    w.grad = None
    (w * 2).sum().backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
print(w)
"""
HEALTHY_OUT = "tensor([0.4000, 0.4000], requires_grad=True)\n"


def test_failed(audit, tmp_path):
    result, report = audit("def f(a):\n    a['ä'], 1 / 0\nf({'ä': 1})\n")
    assert result.code == 1
    assert report["run"]["outcome"] == "failed"
    assert report["run"]["exit_code"] == 1
    assert report["run"]["target"] == "train.py"
    assert report["run"]["cwd"] == str(tmp_path)
    exception = report["run"]["exception"]
    assert (exception["type"], exception["message"]) == ("ZeroDivisionError", "division by zero")
    location = exception["location"]
    assert (location["path"], location["line"], location["function"]) == ("train.py", 2, "f")
    assert location["source"].strip() == "a['ä'], 1 / 0"
    if sys.version_info >= (3, 11):
        assert (location["column"], location["end_column"]) == (13, 18)


def test_failed_inside_a_library(audit):
    source = "import json\njson.loads(\n    '{'\n)"
    _, report = audit(source)
    exception = report["run"]["exception"]
    assert exception["type"] == "json.decoder.JSONDecodeError"
    assert (exception["location"]["path"], exception["location"]["line"]) == ("train.py", 2)


def test_failed_to_compile(audit):
    _, report = audit("x = 1\nif x\n")
    exception = report["run"]["exception"]
    assert exception["type"] == "SyntaxError"
    assert (exception["location"]["path"], exception["location"]["line"]) == ("train.py", 2)


@pytest.mark.parametrize(
    ("ending", "outcome", "own", "code"),
    [
        ("sys.exit(0)", "completed", 0, 2),
        ("sys.exit(261)", "failed", 5, 5),
        ("os._exit(0)", "completed", 0, 2),
        ("threading.Thread(target=os._exit, args=(6,)).start(); time.sleep(9)", "failed", 6, 6),
        ("atexit.register(os._exit, 0); sys.exit(3)", "completed", 0, 2),
        ("signal.raise_signal(signal.SIGHUP)", "interrupted", 129, -signal.SIGHUP),
        ("raise KeyboardInterrupt", "interrupted", 130, -signal.SIGINT),
    ],
)
def test_ways_to_end(audit, ending, outcome, own, code):
    source = f"import atexit, os, signal, sys, threading, time\n{ending}\n"
    result, report = audit(source)
    assert result.code == code
    assert (report["run"]["outcome"], report["run"]["exit_code"]) == (outcome, own)
    assert result.out == ""


def test_a_finding_decides_the_exit_code(audit):
    result, report = audit(f"{BROKEN}train()\nos._exit(0)")
    assert result.code == 1
    assert report["summary"]["error"] == 1
    assert "GA201" in result.err


def test_killed_while_it_trains(tmp_path):
    write(tmp_path / "train.py", BROKEN + "print('ready', flush=True)\ntrain(10**9)\n")
    command = [sys.executable, "-m", "gradaudit", "run", "--json", "report.json", "train.py"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        _, err = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGTERM
    assert b"Traceback" not in err
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert (report["run"]["outcome"], report["run"]["exit_code"]) == ("interrupted", 143)


SLOW_TO_REPORT = """
import os, signal, sys, torch
import gradaudit.render.console as console
render = console.render_report
def render_report(*arguments):
    try:
        signal.raise_signal(signal.{signal})
    finally:
        render(*arguments)
console.render_report = render_report
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_killed_while_it_reports(audit, name):
    result, report = audit(SLOW_TO_REPORT.format(signal=name))
    assert result.code == -getattr(signal, name)
    assert "Traceback" not in result.err
    assert report["run"]["outcome"] == "completed"
    assert "gradaudit: nothing to audit: " in result.err  # the signal waits until it is said
    interrupted = "gradaudit: Interrupted before the report was complete.\n"
    assert result.err.endswith(interrupted) == (name == "SIGINT")


def test_stopped_at_the_limit(audit):
    source = BROKEN + (
        "atexit.register(print, 'atexit')\n"
        "try:\n    train(10**9)\nfinally:\n    print('finally')\nprint('never')\n"
    )
    result, report = audit(source, "--max-iterations", "4")
    assert result.out == "finally\natexit\n"
    assert "Traceback" not in result.err
    assert result.code == 1
    assert (report["run"]["outcome"], report["run"]["exit_code"]) == ("stopped", 0)
    assert report["run"]["iterations"] == 4


def test_a_script_that_leaves_nothing_to_stand_on(tmp_path):
    for name in ("rich", "msgspec", "shutil", "pygments", "rules", "textwrap"):
        write(tmp_path / f"{name}.py", "raise ImportError('not yours')")
    write(tmp_path / "platform.py", "mine = True")
    source = BROKEN + (
        "train()\n"
        "import builtins, tempfile, types\n"
        "sys.modules['rich'] = types.ModuleType('rich'); sys.modules['msgspec'] = None\n"
        "os.chdir(tempfile.mkdtemp()); os.rmdir(os.getcwd())\n"
        "builtins.print = builtins.open = builtins.len = None\n"
        "sys.path[:] = []; sys.meta_path[:] = []; sys.argv = None\n"
        "sys.stdout.close(); sys.stderr.close(); os.close(2); os.close(1)\n"
        "import warnings; warnings.simplefilter('error')\n"
    )
    write(tmp_path / "train.py", source)
    result = run(tmp_path, "run", "--json", "report.json", "train.py")
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert report["run"]["outcome"] == "completed"
    assert "GA201" in result.err
    assert result.code == 1


FAILING = """
import torch
x = torch.ones(2, requires_grad=True)
x.unflatten(0, (1, 2)).sum().backward()
def f():
    try:
        torch.nn.functional.softmax(x, dim=7)
    except IndexError:
        (x * 2).backward()
f()
"""


def test_the_traceback_of_a_failure_in_torch(warm, tmp_path):
    write(tmp_path / "train.py", FAILING)
    plain = warm.plain(tmp_path, "train.py")
    assert "in backward" in plain.err
    assert warm.audited(tmp_path, "run", "--quiet", "train.py") == plain


def test_quiet_and_healthy_and_the_file_replaced_only_at_the_end(audit, tmp_path):
    write(tmp_path / "report.json", "old")
    look = "print([p.read_text() for p in pathlib.Path().iterdir() if p.name != 'train.py'])\n"
    result, report = audit(f"import pathlib\n{HEALTHY}{look}", "--quiet")
    assert result == Result(0, f"{HEALTHY_OUT}['old']\n", "")
    assert report["run"]["outcome"] == "completed"
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "train.py"}


def test_a_disk_that_is_full_at_the_end(warm, tmp_path):
    write(tmp_path / "train.py", "")
    result = warm.audited(tmp_path, "run", "-q", "--json", "/dev/full", "train.py")
    assert result.code == 2
    assert "The report could not be written to '/dev/full': [Errno 28]" in result.err
    assert "Traceback" not in result.err


def test_a_directory_that_is_gone_at_the_end(warm, tmp_path):
    source = f"{BROKEN}train()\nimport shutil\nshutil.rmtree('reports')\n"
    (tmp_path / "reports").mkdir()
    write(tmp_path / "train.py", source)
    result = warm.audited(tmp_path, "run", "--json", "reports/report.json", "train.py")
    assert result.code == 2
    assert "The report could not be written to 'reports/report.json': [Errno 2]" in result.err
    assert "GA201" in result.err  # it is shown all the same
    assert "Traceback" not in result.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_is_read_only_at_the_end(warm, tmp_path):
    source = f"{BROKEN}train()\nos.chmod('reports', 0o500)\n"
    (tmp_path / "reports").mkdir()
    write(tmp_path / "train.py", source)
    result = warm.audited(tmp_path, "run", "--json", "reports/report.json", "train.py")
    (tmp_path / "reports").chmod(0o700)
    assert result.code == 2
    assert "The report could not be written to 'reports/report.json': [Errno 13]" in result.err
    assert "Traceback" not in result.err


def test_an_audit_that_breaks_leaves_the_script_alone(audit):
    source = "import sys\nsys.modules['gradaudit.observe.recorder'] = None\n" + HEALTHY
    result, report = audit(source)
    assert result.out == HEALTHY_OUT
    assert result.code == 2
    assert report is None
    assert "The audit broke, the script is not affected: ModuleNotFoundError" in result.err
    assert "Traceback" not in result.err


#: Among the names of modules is one that is no name.
NO_NAME = "sys.modules[7] = sys"
FORKED = """
def work():
    train(); {}
import multiprocessing
child = multiprocessing.get_context("fork").Process(target=work)
child.start(); child.join()
print(child.exitcode)
"""


@pytest.mark.parametrize(
    ("body", "out", "code", "which"),
    [
        (f"train(); {NO_NAME}", "", 2, "The audit"),
        (FORKED.format(NO_NAME), "0\n", 0, "The audit of a process"),
    ],
)
def test_surroundings_that_cannot_be_restored(audit, body, out, code, which):
    result, _ = audit(BROKEN + body)
    assert (result.out, result.code) == (out, code)
    assert f"gradaudit: {which} broke, the script is not affected: AttributeError" in result.err
    assert "Traceback" not in result.err


LOADER = """
import torch
from torch.utils.data import DataLoader, Dataset

class Numbers(Dataset):
    def __len__(self): return 4
    def __getitem__(self, index): return torch.tensor([float(index)])

if __name__ == "__main__":
    w = torch.ones(1, requires_grad=True)
    for context in ("fork", "spawn"):
        for batch in DataLoader(Numbers(), 2, num_workers=1, multiprocessing_context=context):
            w.grad = None
            (w * batch).sum().backward()
            with torch.no_grad():
                w -= 0.1 * w.grad
            print(batch.flatten(), w.grad)
"""


def test_workers_write_no_reports(warm, tmp_path):
    write(tmp_path / "train.py", LOADER)
    plain = warm.plain(tmp_path, "train.py")
    audited = warm.audited(tmp_path, "run", "--json", "report.json", "train.py")
    assert audited.out == plain.out
    assert audited.code == plain.code == 0
    assert audited.err.count("gradaudit:") == 1


def test_torch_in_a_thread_and_at_the_second_try(tmp_path):
    source = """
        import importlib.util, os, pickle, sys, threading, traceback
        sys.modules["torch._C"] = None
        try:
            import torch
        except ImportError:
            traceback.print_exc()
        for name in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
            del sys.modules[name]
        before = importlib.util.find_spec("torch")
        print(before, type(before.loader), before.loader.get_filename())
        def work():
            global torch
            import torch
        t = threading.Thread(target=work); t.start(); t.join()
        loader = torch.__spec__.loader
        print(loader is torch.__loader__, vars(loader), torch.__spec__._initializing)
        print(importlib.util.find_spec("torch") is torch.__spec__, pickle.dumps(torch.Tensor))
        # who waits for multiprocessing waits on: torch 2.4 does not import all of it
        print([f for f in sys.meta_path if getattr(f, "_name", None) == "torch"])
        os.environ["X"] = "1"
    """
    write(tmp_path / "train.py", source)
    twins = Twins(tmp_path, "train.py")
    if "re-importing after a failed" in twins.plain.err:
        pytest.skip("this torch refuses to be imported a second time")
    assert twins.audited.out == twins.plain.out
    assert "importlib" not in twins.plain.err
    assert twins.audited.err.startswith(twins.plain.err)
