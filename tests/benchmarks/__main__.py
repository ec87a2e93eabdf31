"""What the audit costs: the same scripts plain and audited, and as other tools would, in turns.

    python -m tests.benchmarks [--smallest] [--turns N] [--only WORD] [--no-peers] [--json PATH]

Every way of running is a process of its own, and every script times its own iterations, so neither
the start of the interpreter nor the report at the end is counted.  All ways are under way at the
same time, past the warm-up, which is longer than the probe, and take turns of some iterations.  A
turn's figure is its median iteration, and ratios are taken within a turn.  After some turns all
begin anew in new processes.  What is printed are medians over all turns, in brackets the quartiles.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from tests.benchmarks.cases import PEERS, SMALLEST, WORKLOADS, Way
from tests.benchmarks.measuring import (
    Run,
    Spread,
    in_rounds,
    ratios,
    seconds,
    smoke,
    started,
    until_first_line,
)

#: In how many rounds of new processes a workload takes its turns.
ROUNDS = 4

#: How often each whole process is run.
PROCESSES = 7

HEADER = (
    "| training loop | plain iteration | CPU time | wall time | probe, an iteration | "
    "peak memory | its own account |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def main() -> None:
    """Measure what was asked for, printing as it comes."""
    asked = _arguments()
    turns = 2 if asked.smallest else asked.turns
    workloads = (SMALLEST,) if asked.smallest else WORKLOADS
    if asked.only:
        workloads = tuple(each for each in workloads if asked.only in each.name)
    figures: dict[str, Any] = {"surroundings": surroundings(), "turns": turns, "workloads": {}}
    print(f"{surroundings()}; {turns} turns\n\n{HEADER}", flush=True)
    peers = {}
    for workload in workloads:
        ways = PEERS if workload.peers and not asked.smallest and not asked.no_peers else ()
        rounds = 1 if asked.smallest else ROUNDS
        runs = in_rounds(workload, ("plain", "audited", *ways), turns, rounds)
        print(row(workload.name, runs), flush=True)
        figures["workloads"][workload.name] = {way: asdict(run) for way, run in runs.items()}
        if ways:
            peers[workload.name] = runs
    if peers:
        print(f"\n{peer_table(peers)}", flush=True)
    if not asked.smallest and not asked.only:
        figures["processes"] = processes(PROCESSES)
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(description="Audited over plain, on small training loops.")
    options.add_argument("--smallest", action="store_true", help="two turns of the tiny MLP")
    options.add_argument("--turns", type=int, default=40, metavar="N")
    options.add_argument("--only", metavar="WORD", help="the workloads with this in their name")
    options.add_argument("--no-peers", action="store_true", help="leave other tools out")
    options.add_argument("--json", type=Path, metavar="PATH", help="also write all figures here")
    return options.parse_args()


def row(name: str, runs: dict[Way, Run]) -> str:
    """One line of the main table."""
    plain, audited = runs["plain"], runs["audited"]
    iteration = Spread.of(turn.wall for turn in plain.turns)
    # what the audit says it cost, against what the loop really took longer
    account = audited.audit / max(audited.total - plain.total, 1e-9)
    return (
        f"| {name} | {iteration.median:.2f} ms | "
        f"{told(ratios(audited, plain, lambda turn: turn.processor))} | "
        f"{told(ratios(audited, plain, lambda turn: turn.wall))} | "
        f"{audited.first / plain.first:.1f}x | {audited.memory - plain.memory:+.0f} MiB | "
        f"{account:.2f} |"
    )


def peer_table(runs: dict[str, dict[Way, Run]]) -> str:
    """CPU time of other tools over plain, and ours beside them."""
    ways: tuple[Way, ...] = ("audited", *PEERS)
    lines = [f"| CPU time over plain | {' | '.join(ways)} |", "| --- |" + " ---: |" * len(ways)]
    for name, known in runs.items():
        spreads = [ratios(known[way], known["plain"], lambda turn: turn.processor) for way in ways]
        lines.append(f"| {name} | {' | '.join(map(told, spreads))} |")
    return "\n".join(lines)


def processes(rounds: int) -> dict[str, Any]:
    """What whole processes take."""
    wall, processor = smoke(WORKLOADS[0], rounds)
    line = until_first_line(rounds)
    shown = seconds([sys.executable, "-m", "gradaudit", "--help"], rounds)
    typer = seconds([sys.executable, "-c", "import typer"], rounds)
    print(f"\nsmoke run of 20 iterations, whole process: CPU {told(processor)}, wall {told(wall)}")
    print(f"before the script's first line: {line.median * 1000:.0f} ms")
    print(f"`gradaudit --help` {shown.median * 1000:.0f} ms, of it typer {typer.median * 1000:.0f}")
    spreads = {"smoke wall": wall, "smoke processor": processor, "first line": line}
    return {name: asdict(spread) for name, spread in spreads.items()}


def told(spread: Spread) -> str:
    """A ratio for the table."""
    return f"{spread.median:.2f} ({spread.low:.2f}-{spread.high:.2f})"


def surroundings() -> str:
    """When and where."""
    torch = started([sys.executable, "-c", "import torch; print(torch.__version__)"]).output.strip()
    return (
        f"{date.today().isoformat()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} CPUs (load {os.getloadavg()[0]:.1f}), one torch thread, "
        f"Python {platform.python_version()}, torch {torch}"
    )


if __name__ == "__main__":
    main()
