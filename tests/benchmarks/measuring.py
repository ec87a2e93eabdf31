"""Runs commands in turns and keeps what each cost: the scripts' own figures, time and memory."""

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
from typing import Any

from tests.benchmarks.cases import ROOT, Way, Workload, audit, command


@dataclass(frozen=True)
class Process:
    """One process from start to end: seconds by wall and processor, peak memory in MiB."""

    wall: float
    processor: float
    memory: float
    output: str


@dataclass(frozen=True)
class Run:
    """One run of a workload; milliseconds an iteration by ``wall`` and ``processor``.

    ``first`` are its first three iterations together, ``total`` the processor's seconds of all.
    """

    first: float
    wall: float
    processor: float
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


def run(workload: Workload, way: Way) -> Run:
    """One run, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "report.json")
        process = started(command(workload, way, file))
        figures: dict[str, Any] = json.loads(process.output.splitlines()[-1])
        measured = Run(**figures, memory=process.memory)
        if way != "audited":
            return measured
        report = json.loads(file.read_text())
    return replace(
        measured,
        probed=report["coverage"]["probed_iterations"],
        audit=report["run"]["audit_seconds"],
    )


def in_turns(workload: Workload, ways: tuple[Way, ...], rounds: int) -> dict[Way, list[Run]]:
    """So many runs in each way, one after the other.

    Where the probe outlasts the warm-up, the warm-up is lengthened and all begins anew.
    """
    while True:
        runs: dict[Way, list[Run]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way in ways:
                runs[way].append(run(workload, way))
            if runs["audited"][-1].probed >= workload.warm_up:
                break
        else:
            return runs
        workload = replace(workload, warm_up=2 * runs["audited"][-1].probed)


def ratios(of: list[Run], to: list[Run], what: Callable[[Run], float]) -> Spread:
    """Of one way to another, taken within each round."""
    return Spread.of(what(one) / what(other) for one, other in zip(of, to, strict=True))


# -- whole processes -------------------------------------------------------------------------------


def smoke(workload: Workload, rounds: int) -> tuple[Spread, Spread]:
    """A run of 20 iterations, audited over plain, as whole processes: wall and processor."""
    pairs = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            script = workload.arguments(0, 20)
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
