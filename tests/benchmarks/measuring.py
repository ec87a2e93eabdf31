"""Has commands work in turns and keeps what each cost: the scripts' own figures, and memory."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.benchmarks.cases import ROOT, Way, Workload, audit, command


@dataclass(frozen=True)
class Process:
    """One process from start to end: seconds by wall and processor, peak memory in MiB."""

    wall: float
    processor: float
    memory: float
    output: str


@dataclass(frozen=True)
class Turn:
    """Some iterations in a row: milliseconds of the median one, by ``wall`` and ``processor``."""

    wall: float
    processor: float


@dataclass(frozen=True)
class Run:
    """One run of a workload, its timed iterations in turns with others.

    ``first`` are its first three iterations together, ``total`` the processor's seconds of all;
    ``memory`` is its peak in MiB.
    """

    turns: list[Turn]
    first: float
    total: float
    memory: float
    probed: int = 0
    audit: float = 0.0


@dataclass(frozen=True)
class Spread:
    """A median and its quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Of some values."""
        known = sorted(values)
        if len(known) < 2:
            return cls(known[0], known[0], known[0])
        low, median, high = statistics.quantiles(known, n=4, method="inclusive")
        return cls(median, low, high)


def started(arguments: list[str]) -> Process:
    """Run a command to its end."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(
            arguments, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - began
        out.seek(0)
        err.seek(0)
        output, said = out.read().decode(), err.read().decode()
    if child.returncode:
        sys.exit(f"{' '.join(arguments)}: exit code {child.returncode}\n{said}")
    memory = usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    return Process(wall, usage.ru_utime + usage.ru_stime, memory, output)


class Running:
    """A workload under way, which does a turn whenever it is asked to."""

    def __init__(self, workload: Workload, way: Way, folder: Path) -> None:
        self._report = folder / f"{way}.json"
        self._errors = (folder / f"{way}.err").open("w+")
        self._process = subprocess.Popen(
            command(workload, way, self._report),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._first = self._answer()["first"]
        self._turns: list[Turn] = []

    def turn(self) -> None:
        """Time some iterations more."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self._turns.append(Turn(**self._answer()))

    def end(self) -> Run:
        """Let it end; what it has measured."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        total = self._answer()["total"]
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        memory = usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
        measured = Run(self._turns, self._first, total, memory)
        if not self._report.exists():
            return measured
        report = json.loads(self._report.read_text())
        probed = report["coverage"]["probed_iterations"]
        return replace(measured, probed=probed, audit=report["run"]["audit_seconds"])

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            sys.exit(f"{self._process.args!r} ended early:\n{self._errors.read()}")
        answer: dict[str, float] = json.loads(line)
        return answer


def in_rounds(workload: Workload, ways: tuple[Way, ...], turns: int, rounds: int) -> dict[Way, Run]:
    """A workload in several rounds of new processes: where memory lies is chance in each of them.

    The same script was seen to take 15% more or less in another process.
    """
    done = [in_turns(workload, ways, -(-turns // rounds)) for _ in range(rounds)]
    return {way: together([runs[way] for runs in done]) for way in ways}


def together(runs: list[Run]) -> Run:
    """Rounds of one way as one run; what is not in turns is their mean."""
    count = len(runs)
    return Run(
        [turn for run in runs for turn in run.turns],
        sum(run.first for run in runs) / count,
        sum(run.total for run in runs) / count,
        sum(run.memory for run in runs) / count,
        max(run.probed for run in runs),
        sum(run.audit for run in runs) / count,
    )


def in_turns(workload: Workload, ways: tuple[Way, ...], turns: int) -> dict[Way, Run]:
    """A workload in several ways at the same time, of which only one does its turn at any moment.

    How fast a machine is changes from second to second; turns that follow each other compare.
    Where the probe outlasts the warm-up, the warm-up is lengthened and all begins anew.
    """
    while True:
        with tempfile.TemporaryDirectory() as folder:
            running = {way: Running(workload, way, Path(folder)) for way in ways}
            for number in range(turns):
                for way in ways if number % 2 else reversed(ways):
                    running[way].turn()
            runs = {way: each.end() for way, each in running.items()}
        if runs["audited"].probed < workload.warm_up:
            return runs
        workload = replace(workload, warm_up=2 * runs["audited"].probed)


def ratios(of: Run, to: Run, what: Callable[[Turn], float]) -> Spread:
    """Of one way to another, taken within each turn."""
    return Spread.of(what(one) / what(other) for one, other in zip(of.turns, to.turns, strict=True))


# -- whole processes -------------------------------------------------------------------------------


def smoke(workload: Workload, rounds: int) -> tuple[Spread, Spread]:
    """A run of 20 iterations, audited over plain, as whole processes: wall and processor."""
    pairs = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            script = workload.arguments(warm_up=20)
            plain = started([sys.executable, *script])
            options = ("--max-iterations", "20")
            pairs.append((plain, started([*audit(Path(folder, "r.json"), *options), *script])))
    return (
        Spread.of(audited.wall / plain.wall for plain, audited in pairs),
        Spread.of(audited.processor / plain.processor for plain, audited in pairs),
    )


def until_first_line(rounds: int) -> Spread:
    """Seconds of ours before the first line of a script that imports nothing itself."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "first.py")
        script.write_text("import time\nprint(time.time())\nimport torch\n")
        report = Path(folder, "report.json")
        return Spread.of(
            _arrival([*audit(report), str(script)]) - _arrival([sys.executable, str(script)])
            for _ in range(rounds)
        )


def _arrival(arguments: list[str]) -> float:
    began = time.time()
    return float(started(arguments).output.split()[0]) - began


def seconds(arguments: list[str], rounds: int) -> Spread:
    """A command's seconds on the wall, after one run that fills the caches."""
    started(arguments)
    return Spread.of(started(arguments).wall for _ in range(rounds))
