"""Several processes, one report: what multiprocessing starts, and what a launcher has started."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from .twins import environment, write

#: ``train`` steps three times; ``SAVE`` lets every step be a moment to save what was seen.
TRAIN = """
    import os, signal, sys, time
    import torch
    import torch.multiprocessing as mp

    def train(number=0, then=None):
        w = torch.ones(2, requires_grad=True)
        optimizer = torch.optim.SGD([w], lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (w * w).sum().backward()
            optimizer.step()
        if then is not None:
            then()
"""
SAVE = """
    import gradaudit.launch.checkpoints as checkpoints
    checkpoints._FIRST = checkpoints._GROWTH = 0.0
    checkpoints._BUDGET = 1e9
"""


@pytest.fixture
def audit(warm, tmp_path):
    """Run a script plain and audited, in forks; its report."""

    def run(body: str, head: str = "") -> dict[str, Any]:
        write(tmp_path / "train.py", head + TRAIN + body)
        plain = warm.plain(tmp_path, "train.py")
        audited = warm.attentive(tmp_path, "run", "--quiet", "--json", "report.json", "train.py")
        assert audited == plain
        return json.loads((tmp_path / "report.json").read_bytes())

    return run


def processes(report: dict[str, Any]) -> list[tuple[int, str, int]]:
    return [(info["rank"], info["outcome"], info["optimizer_steps"]) for info in report["ranks"]]


def gaps(report: dict[str, Any]) -> list[str]:
    return [gap["what"] for gap in report["coverage"]["gaps"]]


CHILD = """
    def start(then=None, wait=True):
        child = mp.get_context("fork").Process(target=train, args=(0, then))
        child.start()
        if wait:
            child.join()
        return child
"""


def test_children_are_audited_and_the_parent_if_it_trains_too(audit):
    report = audit(CHILD + "    train(); start(); start(lambda: sys.exit(3)); print('done')")
    assert processes(report) == [(0, "completed", 3), (1, "completed", 3), (2, "failed", 3)]
    assert report["run"]["outcome"] == "failed"
    assert report["run"]["exit_code"] == 0
    assert [info["ranks"] for info in report["parameters"]] == [[0, 1, 2]]


def test_a_parent_that_only_starts_others_is_none_of_them(audit):
    report = audit(CHILD + "    model = torch.nn.Linear(1, 1); start()")
    assert processes(report) == [(0, "completed", 3)]
    assert report["findings"] == []
    assert [info["name"] for info in report["parameters"]] == ["w", "model.weight", "model.bias"]


def test_children_of_children(audit):
    report = audit(CHILD + "    start(start)")
    assert processes(report) == [(0, "completed", 3), (1, "completed", 3)]


@pytest.mark.parametrize(
    ("then", "outcome", "exception"),
    [
        ("lambda: os._exit(4)", "failed", None),
        ("lambda: sys.exit(4)", "failed", None),
        ("lambda: 1 / 0", "failed", "ZeroDivisionError"),
        ("lambda: torch.ones(2) @ torch.ones(3)", "failed", "RuntimeError"),
        ("lambda: os.kill(os.getpid(), signal.SIGTERM)", "interrupted", None),
        ("lambda: os.kill(os.getpid(), signal.SIGINT)", "interrupted", "KeyboardInterrupt"),
    ],
)
def test_a_child_leaves_its_part_by_every_door(audit, then, outcome, exception):
    report = audit(f"{CHILD}    print(start({then}).exitcode)")
    assert processes(report) == [(0, outcome, 3)]
    assert (report["run"]["exception"] or {}).get("type") == exception


def test_a_child_that_is_killed_leaves_what_was_saved_before(audit):
    report = audit(
        CHILD + "    print(start(lambda: os.kill(os.getpid(), signal.SIGKILL)).exitcode)", head=SAVE
    )
    assert processes(report) == [(0, "interrupted", 3)]
    assert gaps(report) == ["the end of the run"]


ERRANDS = """
    class Numbers(torch.utils.data.Dataset):
        def __len__(self): return 4
        def __getitem__(self, index):
            import torch.overrides
            return len(torch.overrides._get_current_function_mode_stack())

    def load():
        loader = torch.utils.data.DataLoader(
            Numbers(), num_workers=1, multiprocessing_context="fork"  # no more the default in 3.14
        )
        for modes in loader:
            print(modes.item())

    def traced(_):
        return sys.gettrace() is not None
"""


def test_whoever_loads_data_or_works_in_a_pool_is_left_alone(audit):
    report = audit(
        f"{CHILD}{ERRANDS}    load(); start(load)\n"
        "    with mp.get_context('fork').Pool(1) as pool: print(pool.map(traced, [1]))"
    )
    assert processes(report) == [(0, "completed", 3)]


SPAWN = """
    def fail():
        torch.nn.functional.mse_loss(torch.ones(2), torch.ones(3))

    if __name__ == "__main__":
        mp.spawn(train, args=(fail,), nprocs=1)
"""


def test_a_spawned_child_behaves_and_fails_as_it_does_under_plain_python(warm, tmp_path):
    write(tmp_path / "train.py", TRAIN + SPAWN)
    plain = warm.plain(tmp_path, "train.py")
    assert "mse_loss" in plain.err
    assert warm.audited(tmp_path, "run", "--quiet", "--json", "report.json", "train.py") == plain
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert processes(report) == [(0, "failed", 3)]


GROUPS = """
    import faulthandler, sys, tempfile
    import torch
    import torch.distributed as dist
    import torch.multiprocessing as mp
    from torch.nn.parallel import DistributedDataParallel

    def meet(meeting_point, rank):
        dist.init_process_group("gloo", f"file://{meeting_point}", rank=rank, world_size=2)
        model = DistributedDataParallel(torch.nn.Linear(2, 1))
        model(torch.ones(1, 2)).sum().backward()
        dist.barrier()
        dist.destroy_process_group()

    def train(rank, folder):
        faulthandler.dump_traceback_later(90, exit=True)
        for number in range(50):
            meet(f"{folder}/{number}", rank)

    if __name__ == "__main__":
        with tempfile.TemporaryDirectory() as folder:
            mp.start_processes(train, (folder,), nprocs=2, start_method="fork")
"""


def test_process_groups_end(warm, tmp_path):
    """Of so many one would hang for ever without the audit: gloo of torch 2.13."""
    write(tmp_path / "train.py", GROUPS)
    result = warm.audited(tmp_path, "run", "--json", "report.json", "train.py")
    assert result.code == 0, result.err
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert [info["backward_calls"] for info in report["ranks"]] == [50, 50]


def test_a_child_of_a_fork_server_is_audited(warm, tmp_path):
    body = """
    if __name__ == "__main__":
        child = mp.get_context("forkserver").Process(target=train)
        child.start()
        child.join()
        print(child.exitcode)
    """
    write(tmp_path / "train.py", TRAIN + body)
    plain = warm.plain(tmp_path, "train.py")
    assert warm.audited(tmp_path, "run", "--quiet", "--json", "report.json", "train.py") == plain
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert processes(report) == [(0, "completed", 3)]


# -- ranks that a launcher has started -------------------------------------------------------------


def test_ranks_make_one_report_and_only_the_last_one_shows_it(tmp_path):
    write(tmp_path / "train.py", TRAIN + "    train()")
    world = {"WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "2", "TMPDIR": str(tmp_path)}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "gradaudit", "run", "--json", "report.json", "train.py"],
            cwd=tmp_path,
            env=environment(RANK=str(rank), LOCAL_RANK=str(rank), **world),
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    first, last = sorted((rank.communicate(timeout=120)[1] for rank in ranks), key=len)
    assert [rank.returncode for rank in ranks] == [0, 0]
    assert first == ""
    assert last.count("gradaudit, 2 ranks: healthy: 3 iterations") == 1
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert processes(report) == [(0, "completed", 3), (1, "completed", 3)]
    assert gaps(report) == ["rank 2"]
    assert not list(tmp_path.glob("gradaudit-*"))
