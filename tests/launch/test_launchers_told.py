"""What launchers tell, and who of those that are told it is a rank."""

from __future__ import annotations

import pytest

from gradaudit.launch.launchers import Place, parent_name, place_among_ranks

OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "5",
    "OMPI_COMM_WORLD_SIZE": "8",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "4",
}
HYDRA = {"PMI_RANK": "5", "PMI_SIZE": "8", "MPI_LOCALRANKID": "1", "MPI_LOCALNRANKS": "4"}
MVAPICH = {name.replace("OMPI_", "MV2_"): value for name, value in OPEN_MPI.items()}
SLURM = {
    "SLURM_PROCID": "5",
    "SLURM_NTASKS": "8",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2)",
}
TORCHRUN = {"RANK": "2", "WORLD_SIZE": "3", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}


@pytest.mark.parametrize(
    ("told", "parent"),
    [
        (OPEN_MPI, "mpirun"),
        (OPEN_MPI, "prted"),
        (HYDRA, "hydra_pmi_proxy"),
        (MVAPICH, "mpispawn"),
        (SLURM, "slurmstepd"),
    ],
)
def test_a_rank_is_what_the_launcher_itself_has_started(told, parent):
    assert place_among_ranks(told, parent) == Place(5, 8, 1, 4)
    assert place_among_ranks(told, "bash") is None
    assert place_among_ranks({**told, **TORCHRUN}, parent) == Place(2, 3, 0, 1)


@pytest.mark.parametrize(("nodes", "here"), [("4,3", 3), ("4(x2),3", 4), ("2(x1),11(x3)", 11)])
def test_slurm_tells_how_many_there_are_on_each_machine(nodes, here):
    place = place_among_ranks({**SLURM, "SLURM_STEP_TASKS_PER_NODE": nodes}, "slurmstepd")
    assert place == Place(5, 8, 1, here)


@pytest.mark.parametrize(
    "missing", ["SLURM_STEP_NUM_TASKS", "SLURM_NODEID", "SLURM_STEP_TASKS_PER_NODE"]
)
def test_a_process_in_an_allocation_of_slurm_that_is_no_step_is_no_rank(missing):
    told = {name: value for name, value in SLURM.items() if name != missing}
    assert place_among_ranks(told, "slurmstepd") is None


def test_the_parent_is_asked_for_by_its_name():
    assert parent_name()
    assert "\n" not in parent_name()
