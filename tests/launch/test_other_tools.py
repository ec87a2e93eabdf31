"""Tools that run programs run us as well, and the script inside: they see no less of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .twins import NEVER, Twins, environment, write

PROFILED = """
    import atexit, cProfile
    profiler = cProfile.Profile()
    def seen():
        profiler.disable()
        print(any(getattr(entry.code, "co_name", "") == "train" for entry in profiler.getstats()))
    def train():
        pass
    atexit.register(seen)
    profiler.enable()
    train()
"""


@pytest.mark.parametrize("profiler", ["cProfile", "profile"])
def test_profilers_go_on_to_the_end(tmp_path, profiler):
    write(tmp_path / "train.py", "import atexit; atexit.register(print, 'done')")
    audited = ("-m", "gradaudit", "run", "train.py")
    done = subprocess.run(
        [sys.executable, "-m", profiler, "-o", "stats", *audited],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", NEVER)


def test_a_profiler_that_the_script_leaves_on(tmp_path):
    write(tmp_path / "train.py", PROFILED)
    assert Twins(tmp_path, "train.py").same().out == "True\n"
