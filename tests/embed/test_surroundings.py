"""Blocks among compiled models, other tracers and other function modes."""

from __future__ import annotations

import sys

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import gradaudit

from .training import Cut, Training


def losses(training, audited):
    with gradaudit.audit() if audited else torch.enable_grad() as audit:
        found = []
        for _ in range(4):
            training.clear()
            loss = training.loss()
            loss.backward()
            training.step()
            found.append(loss.item())
    return found, audit


def test_the_same_numbers():
    told = []
    for audited in (False, True):
        torch.manual_seed(3)
        training = Training(model=nn.Sequential(nn.Linear(4, 3), nn.Dropout(), nn.Linear(3, 1)))
        told.append((losses(training, audited)[0], torch.rand(2).tolist()))
    assert told[0] == told[1]


def test_what_was_compiled_before_is_left_alone():
    graphs = []

    def backend(graph, _):
        graphs.append(graph)
        return graph

    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
    training = Training(model=torch.compile(model, backend=backend))
    _, audit = losses(training, audited=True)
    assert len(graphs) == 1
    assert audit.findings == ()
    gaps = {gap.what: gap.why for gap in audit.report.coverage.gaps}
    assert gaps["the dataflow"] == "torch.compile was used before the audit began"


def test_another_tracer_keeps_its_place():
    def trace(*_):
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        _, audit = losses(Training(model=Cut()), audited=True)
        assert sys.gettrace() is trace
    finally:
        sys.settrace(before)
    assert {finding.rule for finding in audit.findings} == {"GA101", "GA102"}
    assert "passes of loops" in {gap.what for gap in audit.report.coverage.gaps}


def test_a_function_mode_around_the_block_stays():
    class Mode(TorchFunctionMode):
        calls = 0

        def __torch_function__(self, func, types, args=(), kwargs=None):
            self.calls += 1
            return func(*args, **(kwargs or {}))

    with Mode() as mode:
        losses(Training(), audited=True)
        calls = mode.calls
        assert calls
        torch.ones(1).add(1)
        assert mode.calls > calls
