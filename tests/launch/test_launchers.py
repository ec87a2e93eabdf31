"""Ranks as real launchers start them: every one is audited, one report, the right exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from .twins import Result, environment, write

#: What a launcher is asked for, behind ``python -m``.
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2")
ACCELERATE = (
    *("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"),
    *("--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"),
)

HEALTHY = """
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    dist.init_process_group("gloo")
    torch.manual_seed(0)
    model = DistributedDataParallel(torch.nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(4):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()
    dist.barrier()
"""

#: Starts two ranks as ``mpiexec`` of MPICH does: it is known by its name, and by what it tells.
HYDRA = """
    #!/bin/sh
    for rank in 0 1; do
        PMI_RANK=$rank PMI_SIZE=2 MPI_LOCALRANKID=$rank MPI_LOCALNRANKS=2 "$@" &
    done
    wait
"""

ALONE = """
    import torch

    w = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1)
    for _ in range(4):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
"""

BROKEN = """
    import torch
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model, optimizer = accelerator.prepare(model, optimizer)
    for _ in range(4):
        accelerator.backward(model(torch.randn(8, 4)).square().mean())
        optimizer.step()
    accelerator.wait_for_everyone()
"""


def launch(directory: Path, launcher: tuple[str, ...], source: str) -> tuple[Result, Any]:
    """Have a script launched, audited, by a module; its report."""
    return start(directory, (sys.executable, "-m", *launcher), source)


def start(directory: Path, launcher: tuple[str, ...], source: str) -> tuple[Result, Any]:
    """Have a script launched, audited, by a program; its report."""
    write(directory / "train.py", source)
    audited = ("-m", "gradaudit", "run", "--json", "report.json", "train.py")
    done = subprocess.run(
        [*launcher, *audited],
        cwd=directory,
        env=environment(OMP_NUM_THREADS="1", HF_HOME=str(directory), TMPDIR=str(directory)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    report = json.loads((directory / "report.json").read_bytes())
    return Result(done.returncode, done.stdout, done.stderr), report


def ranks(report: dict[str, Any]) -> list[tuple[int, str, int]]:
    return [(info["rank"], info["outcome"], info["optimizer_steps"]) for info in report["ranks"]]


def test_torchrun(tmp_path):
    result, report = launch(tmp_path, TORCHRUN, HEALTHY)
    assert result.code == 0
    assert ranks(report) == [(0, "completed", 4), (1, "completed", 4)]
    assert report["findings"] == []
    assert report["coverage"]["gaps"] == []
    assert result.err.count("gradaudit, 2 ranks: healthy: 4 iterations") == 1


def test_accelerate(tmp_path):
    if find_spec("accelerate") is None:
        pytest.skip("accelerate is not installed: pip install '.[frameworks]'")
    result, report = launch(tmp_path, ACCELERATE, BROKEN)
    assert result.code == 1
    assert ranks(report) == [(0, "completed", 4), (1, "completed", 4)]
    assert [finding["rule"] for finding in report["findings"]] == ["GA201"]
    assert result.err.count("gradaudit, 2 ranks: 1 error: 4 iterations") == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="nobody tells a parent's name")
def test_mpiexec(tmp_path):
    launcher = write(tmp_path / "hydra_pmi_proxy", HYDRA.lstrip())
    launcher.chmod(0o700)
    result, report = start(tmp_path, (str(launcher), sys.executable), ALONE)
    assert ranks(report) == [(0, "completed", 4), (1, "completed", 4)]
    assert report["findings"] == []
    assert result.err.count("gradaudit, 2 ranks: healthy: 4 iterations") == 1
