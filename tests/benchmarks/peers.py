"""Runs a workload as another tool would: ``peers.py torch-audit|detect-anomaly|settrace SCRIPT …``.

The workload is as unmodified as the tool allows; whatever the tool prints goes to stderr.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any


def main() -> None:
    peer, script, *arguments = sys.argv[1:]
    sys.argv = [script, *arguments]
    sys.path.insert(0, str(Path(script).parent))
    PEERS[peer]()
    runpy.run_path(script, run_name="__main__")


def torch_audit() -> None:
    """Audit every step, as our own figures are of every step too."""
    from torch_audit import autopatch

    stopwatch = _stopwatch()
    measure = stopwatch.measure

    def audited(step: Callable[[], None]) -> None:
        script = sys._getframe(1).f_globals
        with redirect_stdout(sys.stderr):
            autopatch(script["model"], optimizer=script["optimizer"], every_n_steps=1, reporters=[])
        measure(step)

    stopwatch.measure = audited  # type: ignore[attr-defined]


def detect_anomaly() -> None:
    import torch

    torch.autograd.set_detect_anomaly(True)


def settrace() -> None:
    """Log file and line of every line that runs, as a first attempt at a tracer does."""
    log: list[tuple[str, int]] = []

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            log.append((frame.f_code.co_filename, frame.f_lineno))
            if len(log) > 100_000:
                log.clear()
        return trace

    _stopwatch()
    sys.settrace(trace)


def _stopwatch() -> ModuleType:
    import stopwatch  # type: ignore[import-not-found]  # lies beside the workloads

    return stopwatch  # type: ignore[no-any-return]


PEERS = {"torch-audit": torch_audit, "detect-anomaly": detect_anomaly, "settrace": settrace}

if __name__ == "__main__":
    main()
