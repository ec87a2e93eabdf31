"""Behind the probe: nothing of it is left, and an iteration runs the operations of a plain one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from launch.twins import write

#: Trains until the probe is over, then tells of every iteration what torch ran in it.
PROFILED = """
    import collections, json, sys
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, foreach=True)
    x, y = torch.randn(32, 8), torch.randn(32, 1)

    def iteration():
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    for _ in range(1500):
        iteration()
    found = []
    for _ in range(100):
        with torch.autograd.profiler.profile() as profile:
            iteration()
        found.append(sorted(event.name for event in profile.function_events))
    usual = collections.Counter(map(tuple, found)).most_common(1)[0][0]
    unusual = [1500 + number for number, ran in enumerate(found) if tuple(ran) != usual]
    modes = torch._C._len_torch_function_stack()
    print(json.dumps([usual, unusual, modes, sys.gettrace() is None]))
"""


@pytest.fixture(scope="module")
def told(warm, tmp_path_factory):
    """(what the plain script says, what the audited one does, the report)."""
    directory = tmp_path_factory.mktemp("watch")
    write(directory / "train.py", PROFILED)
    plain = warm.plain(directory, "train.py")
    audited = warm.audited(directory, "run", "--quiet", "--json", "report.json", "train.py")
    assert (plain.code, audited.code) == (0, 0), audited.err
    report = json.loads(Path(directory, "report.json").read_text())
    return json.loads(plain.out), json.loads(audited.out), report


def test_tracer_and_function_mode_are_gone(told):
    _, (_, _, modes, untraced), report = told
    assert report["coverage"]["probed_iterations"] < 1500
    assert (modes, untraced) == (0, True)


def test_only_sampled_iterations_run_anything_else(told):
    (plain, never, *_), (audited, unusual, *_), report = told
    assert never == []
    assert audited == plain
    sampled = {
        iteration
        for run in report["coverage"]["sampled"]
        for iteration in range(run["first"], run["last"] + 1, run["step"])
    }
    assert set(unusual) <= sampled
    assert len(unusual) < 10


def test_no_value_is_fetched(told):
    _, (audited, *_), _ = told
    assert not {"aten::item", "aten::_local_scalar_dense", "aten::is_nonzero"} & set(audited)
