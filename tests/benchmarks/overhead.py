"""What the audit costs: the same scripts plain and audited, in turns.

    python -m tests.benchmarks.overhead [--smallest] [--rounds N] [--only NAME] [--json PATH]

Every run is a process of its own, and every script times its own iterations, so neither the
start of the interpreter nor the report at the end is counted.  A run's figure is the median
iteration after the warm-up, which is longer than the probe; a round is one plain and one audited
run, one right after the other, and its ratio is taken within it.  What is printed is the median of
the rounds and, in brackets, the quartiles of their ratios; ``CPU`` is the ratio of processor time.

``first 3`` are the first three iterations together, which pay for the probe and for what torch
itself does for the first time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

WORKLOADS = Path(__file__).parent / "workloads"
ROOT = Path(__file__).parents[2]
HELP_AGAINST = "import typer"


@dataclass(frozen=True)
class Workload:
    """A script; how many iterations go by before it is timed, and how many are timed.

    The probe lasts as long as it needs, on a slow day longer: the warm-up is made to outlast it.
    """

    name: str
    script: str
    warm_up: int
    timed: int


WORKLOADS_BY_SIZE = (
    Workload("tiny MLP", "tiny_mlp.py", 600, 800),
    Workload("conv net", "conv_net.py", 200, 60),
    Workload("accumulation over 16", "accumulation.py", 50, 80),
    Workload("1,000 parameter tensors", "thousand_tensors.py", 15, 30),
    Workload("transformer", "transformer.py", 20, 30),
)

SMALLEST = Workload("tiny MLP", "tiny_mlp.py", 600, 100)


@dataclass(frozen=True)
class Run:
    """Milliseconds, as the script measured them."""

    first: float
    median: float
    processor: float
    probed: int = 0


@dataclass(frozen=True)
class Row:
    """All rounds of one workload in figures."""

    name: str
    plain_ms: float
    audited_ms: float
    ratio: float
    quartiles: tuple[float, float]
    processor_ratio: float
    first_plain_ms: float
    first_audited_ms: float
    probed_iterations: int
    rounds: int


def plain(workload: Workload) -> Run:
    return Run(**json.loads(_output([sys.executable, *_command(workload)])))


def audited(workload: Workload) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        options = ["--quiet", "--fail-on", "never", "--json", str(report)]
        audit = [sys.executable, "-m", "gradaudit", "run", *options]
        measured = json.loads(_output([*audit, *_command(workload)]))
        probed = json.loads(report.read_text())["coverage"]["probed_iterations"]
    return Run(**measured, probed=probed)


def _command(workload: Workload) -> list[str]:
    return [str(WORKLOADS / workload.script), str(workload.warm_up), str(workload.timed)]


def _output(command: list[str]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def measure(workload: Workload, rounds: int) -> Row:
    pairs: list[tuple[Run, Run]] = []
    while len(pairs) < rounds:
        pair = plain(workload), audited(workload)
        if pair[1].probed < workload.warm_up:
            pairs.append(pair)
        else:
            pairs.clear()
            workload = replace(workload, warm_up=2 * pair[1].probed)
    ratios = [after.median / before.median for before, after in pairs]
    return Row(
        workload.name,
        statistics.median(before.median for before, _ in pairs),
        statistics.median(after.median for _, after in pairs),
        statistics.median(ratios),
        quartiles(ratios),
        statistics.median(after.processor / before.processor for before, after in pairs),
        statistics.median(before.first for before, _ in pairs),
        statistics.median(after.first for _, after in pairs),
        max(after.probed for _, after in pairs),
        rounds,
    )


def quartiles(values: list[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third


def start_up(rounds: int) -> tuple[float, float]:
    """Milliseconds: ``gradaudit --help``, and Python importing typer."""
    spent: tuple[list[float], list[float]] = ([], [])
    commands = ([sys.executable, "-m", "gradaudit", "--help"], [sys.executable, "-c", HELP_AGAINST])
    for _ in range(rounds + 1):  # the first fills the caches
        for command, times in zip(commands, spent, strict=True):
            began = time.perf_counter()
            _output(command)
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(spent[0][1:]), statistics.median(spent[1][1:])


def surroundings() -> str:
    import torch

    return (
        f"{date.today().isoformat()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} CPUs (load {os.getloadavg()[0]:.1f}), one torch thread, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )


HEADER = (
    "| training loop | plain | audited | ratio | CPU | first 3, plain | first 3, audited |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def line(row: Row) -> str:
    low, high = row.quartiles
    return (
        f"| {row.name} | {row.plain_ms:.2f} ms | {row.audited_ms:.2f} ms | "
        f"{row.ratio:.3f} ({low:.3f}-{high:.3f}) | {row.processor_ratio:.3f} | "
        f"{row.first_plain_ms:.0f} ms | {row.first_audited_ms:.0f} ms |"
    )


def main() -> None:
    options = argparse.ArgumentParser(description="Audited over plain, on small training loops.")
    options.add_argument("--smallest", action="store_true", help="one round of the tiny MLP")
    options.add_argument("--rounds", type=int, default=9, metavar="N")
    options.add_argument("--only", metavar="NAME", help="the workload with this word in its name")
    options.add_argument("--json", type=Path, metavar="PATH", help="also write the figures here")
    asked = options.parse_args()
    rounds = 1 if asked.smallest else asked.rounds
    workloads = (SMALLEST,) if asked.smallest else WORKLOADS_BY_SIZE
    if asked.only:
        workloads = tuple(workload for workload in workloads if asked.only in workload.name)

    print(f"{surroundings()}; {rounds} rounds\n\n{HEADER}", flush=True)
    rows = []
    for workload in workloads:
        rows.append(measure(workload, rounds))
        print(line(rows[-1]), flush=True)
    help_ms, import_ms = start_up(rounds)
    print(f"\n`gradaudit --help` {help_ms:.0f} ms, `python -c '{HELP_AGAINST}'` {import_ms:.0f} ms")
    if asked.json:
        figures = {
            "surroundings": surroundings(),
            "rows": [asdict(row) for row in rows],
            "help_ms": help_ms,
            "import_typer_ms": import_ms,
        }
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
