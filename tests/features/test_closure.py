"""Frameworks hand a closure to every step, whether there is anything in it or not."""

from __future__ import annotations

import json

from launch.twins import write

SCRIPT = """
    import torch

    w = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([w], lr=0.1)
    for _ in range(6):
        (w**2).sum().backward()
        optimizer.step(lambda: None)
    print(w.sum().item())
"""


def test_a_step_with_a_closure_is_one_update(warm, tmp_path):
    write(tmp_path / "train.py", SCRIPT)
    warm.audited(tmp_path, "run", "--quiet", "--json", "report.json", "train.py")
    (finding,) = json.loads((tmp_path / "report.json").read_bytes())["findings"]
    assert finding["rule"] == "GA201"
    assert "5 of 6 updates" in finding["message"]
