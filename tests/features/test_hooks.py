"""Hooks that take gradients as soon as they are there: what they do is told to be unknown."""

from __future__ import annotations

import json

from launch.twins import write

SCRIPT = """
    import torch

    def update(parameter):
        with torch.no_grad():
            parameter -= 0.1 * parameter.grad
        parameter.grad = None

    layers = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
    for parameter in layers[0].parameters():
        parameter.register_post_accumulate_grad_hook(update)
    optimizer = torch.optim.SGD([p for layer in layers for p in layer.parameters()], lr=0.1)
    for _ in range(8):
        optimizer.zero_grad()
        layers[1](layers[0](torch.ones(3, 2))).square().mean().backward()
        optimizer.step()
"""


def test_updates_inside_the_backward_are_a_gap_and_no_finding(warm, tmp_path):
    write(tmp_path / "train.py", SCRIPT)
    warm.attentive(tmp_path, "run", "--quiet", "--json", "report.json", "train.py")
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert report["findings"] == []
    assert [gap["what"] for gap in report["coverage"]["gaps"]] == ["gradients that hooks take"]
