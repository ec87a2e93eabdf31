"""What a launcher has told this process of its place among the ranks.

What ``mpirun`` and ``srun`` tell is inherited by whatever a rank starts, and a shell that stands
alone in an allocation of SLURM is told some of it, too.  So they are believed only where it is they
who have started this very process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
_OPEN_MPI = tuple(
    f"OMPI_COMM_WORLD_{name}" for name in ("RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE")
)
_MVAPICH = tuple(f"MV2_COMM_WORLD_{name}" for name in ("RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE"))
_HYDRA = ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS")  # MPICH, Intel MPI
_SLURM = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "")

#: What tells rank, world size, local rank and local size, by the program that starts the ranks.
_TELLS = {
    **dict.fromkeys(("mpirun", "mpiexec", "orterun", "orted", "prterun", "prted"), _OPEN_MPI),
    "mpispawn": _MVAPICH,
    "hydra_pmi_proxy": _HYDRA,
    "slurmstepd": _SLURM,
}


@dataclass(frozen=True, slots=True)
class Place:
    """A rank; ``local_rank`` counts on this machine only."""

    rank: int
    world_size: int
    local_rank: int
    local_size: int


def place_among_ranks(environment: Mapping[str, str], parent: str) -> Place | None:
    """Find out what was told; None if nothing was, or nothing that makes sense.

    ``parent`` is the name of the program that has started this process.
    """
    for names in (_TORCHRUN, _TELLS.get(parent)):
        if names is not None:
            told = [environment.get(name, "") for name in names[:3]]
            told.append(environment.get(names[3], "") if names[3] else _tasks_here(environment))
            if all(text.isdecimal() for text in told):
                return Place(*map(int, told))
    return None


def parent_name() -> str:
    """Ask for the name of the program that has started this one; empty where nobody tells."""
    with suppress(OSError):
        return Path(f"/proc/{os.getppid()}/comm").read_text(errors="replace").strip()
    return ""


def _tasks_here(environment: Mapping[str, str]) -> str:
    """How many tasks of the step SLURM has started on this machine: one of ``4(x2),3``."""
    counts: list[str] = []
    told = environment.get("SLURM_STEP_TASKS_PER_NODE", "")
    for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", told):
        counts += [count] * int(times or 1)
    node = environment.get("SLURM_NODEID", "")
    return counts[int(node)] if node.isdecimal() and int(node) < len(counts) else ""
