"""Run a program twice, plain and audited, side by side."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

NEVER = "gradaudit: The script never imported torch: there is nothing to audit.\n"
ENDED = "gradaudit: The script ended before it imported torch: there is nothing to audit.\n"

#: What differs between any two processes.
_OWN = re.compile(r"0x[0-9a-f]{6,}|pid=\d+")


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


def environment(**changes: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1", **changes}


def write(path: Path, source: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source), encoding="utf-8")
    return path


class Twins:
    """The same target under ``python`` and under ``python -m gradaudit run``."""

    def __init__(
        self,
        directory: Path,
        *target: str,
        flags: tuple[str, ...] = (),
        options: tuple[str, ...] = (),
        merged: bool = False,
        env: dict[str, str] | None = None,
    ) -> None:
        audited = ("-m", "gradaudit", "run", *options, *target)
        self._directory = directory
        self._merged = merged
        self._env = environment(**(env or {}))
        processes = [self._start((*flags, *target)), self._start((*flags, *audited))]
        self.plain, self.audited = (self._result(process) for process in processes)

    def _start(self, arguments: tuple[str, ...]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self._directory,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if self._merged else subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def _result(process: subprocess.Popen[str]) -> Result:
        out, err = process.communicate(timeout=120)
        return Result(process.returncode, *(_OWN.sub("…", text or "") for text in (out, err)))

    def same(self) -> Result:
        """Assert that only our one sentence was added, for a script without torch."""
        said = ENDED if self.plain.code else NEVER
        assert self.audited.out == self.plain.out + (said if self._merged else "")
        assert self.audited.err == self.plain.err + ("" if self._merged else said)
        assert self.audited.code == (self.plain.code or 2)
        return self.plain


def run(directory: Path, *arguments: str, **env: str) -> Result:
    """``gradaudit`` with some arguments."""
    done = subprocess.run(
        [sys.executable, "-m", "gradaudit", *arguments],
        cwd=directory,
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)
