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
    """A script; how many iterations go by before it is timed, and how many make a turn.

    The probe lasts as long as it needs, on a slow day longer: the warm-up is made to outlast it.
    Other tools have none.
    """

    name: str
    script: str
    warm_up: int
    timed: int
    peers: bool = False

    def arguments(self, warm_up: int | None = None, timed: int | None = None) -> list[str]:
        """The script and its own arguments."""
        counts = (
            self.warm_up if warm_up is None else warm_up,
            self.timed if timed is None else timed,
        )
        return [str(FOLDER / "workloads" / self.script), *map(str, counts)]


WORKLOADS = (
    Workload("tiny MLP", "tiny_mlp.py", 600, 40, peers=True),
    Workload("conv net", "conv_net.py", 250, 10, peers=True),
    Workload("transformer, 3 layers", "transformer.py", 20, 5, peers=True),
    Workload("GPT of nanoGPT's CPU size", "small_gpt.py", 12, 2),
    Workload("1,000 parameter tensors", "thousand_tensors.py", 12, 4),
    Workload("accumulation over 16", "accumulation.py", 80, 10),
    Workload("GAN", "gan.py", 250, 20),
    Workload("LBFGS", "lbfgs.py", 100, 15),
    Workload("updates by hand", "by_hand.py", 800, 50),
)

SMALLEST = Workload("tiny MLP", "tiny_mlp.py", 600, 20)

#: Iterations of other tools before they are timed.
_WARM = 5


def command(workload: Workload, way: Way, report: Path) -> list[str]:
    """How a workload is run in one of the ways; an audit leaves its report."""
    script = workload.arguments()
    if way == "plain":
        return [sys.executable, *script]
    if way == "audited":
        return [*audit(report), *script]
    shorter = workload.arguments(warm_up=_WARM)
    return [sys.executable, str(FOLDER / "peers.py"), way, *shorter]


def audit(report: Path, *options: str) -> list[str]:
    """The audit of whatever script follows."""
    quiet = ["--quiet", "--fail-on", "never", "--json", str(report)]
    return [sys.executable, "-m", "gradaudit", "run", *quiet, *options]
