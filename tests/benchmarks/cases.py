"""What is measured: training loops, and the ways in which each is run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]

Way = Literal["plain", "audited", "torch-audit", "detect-anomaly", "settrace"]
PEERS: tuple[Way, ...] = ("torch-audit", "detect-anomaly", "settrace")


@dataclass(frozen=True)
class Workload:
    """A script; how many iterations go by before it is timed, and how many are timed.

    The probe lasts as long as it needs, on a slow day longer: the warm-up is made to outlast it.
    Other tools have none, and some are so slow that fewer iterations must do: ``peers`` are timed.
    """

    name: str
    script: str
    warm_up: int
    timed: int
    peers: int = 0

    def arguments(self, warm_up: int | None = None, timed: int | None = None) -> list[str]:
        """The script and its own arguments."""
        counts = (
            self.warm_up if warm_up is None else warm_up,
            self.timed if timed is None else timed,
        )
        return [str(FOLDER / "workloads" / self.script), *map(str, counts)]


WORKLOADS = (
    Workload("tiny MLP", "tiny_mlp.py", 600, 600, peers=100),
    Workload("conv net", "conv_net.py", 100, 80, peers=40),
    Workload("transformer, 3 layers", "transformer.py", 20, 30, peers=15),
    Workload("GPT of nanoGPT's CPU size", "small_gpt.py", 12, 20),
    Workload("1,000 parameter tensors", "thousand_tensors.py", 10, 30),
    Workload("accumulation over 16", "accumulation.py", 60, 60),
    Workload("GAN", "gan.py", 250, 250),
    Workload("LBFGS", "lbfgs.py", 100, 150),
    Workload("updates by hand", "by_hand.py", 800, 800),
)

SMALLEST = Workload("tiny MLP", "tiny_mlp.py", 600, 100)


def command(workload: Workload, way: Way, report: Path) -> list[str]:
    """How a workload is run in one of the ways; an audit leaves its report."""
    script = workload.arguments()
    if way == "plain":
        return [sys.executable, *script]
    if way == "audited":
        return [*audit(report), *script]
    shorter = workload.arguments(workload.peers // 5, workload.peers)
    return [sys.executable, str(FOLDER / "peers.py"), way, *shorter]


def audit(report: Path, *options: str) -> list[str]:
    """The audit of whatever script follows."""
    quiet = ["--quiet", "--fail-on", "never", "--json", str(report)]
    return [sys.executable, "-m", "gradaudit", "run", *quiet, *options]
