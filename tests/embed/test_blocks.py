"""What a report means where only a block was seen: nothing is found that its surroundings do."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

import gradaudit

from .training import INPUTS, OPTIMIZERS, Cut, Net, Training


@pytest.fixture(params=OPTIMIZERS)
def training(request):
    trained = Training(OPTIMIZERS[request.param])
    trained.iterate(2)
    return trained


def whole_iterations(t):
    t.iterate(5)


def one_iteration(t):
    t.iterate()


def only_a_step(t):
    t.step()


def only_a_clearing(t):
    t.clear()


def only_forward(t):
    t.loss()


def only_backwards(t):
    for _ in range(5):
        t.backward()


def a_window_goes_on(t):
    t.backward()
    t.step()
    t.clear()
    for number in range(6):
        t.backward()
        if number % 4 == 3:
            t.step()
            t.clear()


def begins_before_the_step(t):
    for _ in range(4):
        t.step()
        t.clear()
        t.backward()


def an_evaluation(t):
    t.model.eval()
    with torch.no_grad():
        for _ in range(3):
            t.loss()


def clips_and_steps(t):
    nn.utils.clip_grad_norm_(t.model.parameters(), 1.0)
    t.step()
    t.clear()


def measures_gradients(t):
    norms = []
    for _ in range(5):
        t.clear()
        t.backward()
        norms.append([float(p.grad.norm()) for p in t.model.parameters()])


HEALTHY = (
    whole_iterations,
    one_iteration,
    only_a_step,
    only_a_clearing,
    only_forward,
    only_backwards,
    a_window_goes_on,
    begins_before_the_step,
    an_evaluation,
    clips_and_steps,
    measures_gradients,
)


@pytest.mark.parametrize("block", HEALTHY, ids=lambda block: block.__name__)
def test_nothing_is_found_in_a_part_of_what_is_sound(training, block):
    training.clear()
    training.backward()
    with gradaudit.audit() as audit:
        block(training)
    assert audit.findings == ()


def test_a_step_uses_what_was_there(training):
    training.clear()
    training.backward()
    with gradaudit.audit() as audit:
        training.step()
    assert {run.state for info in audit.report.parameters for run in info.timeline} == {"fresh"}


def test_the_other_task_has_had_its_turn():
    body, first, second = nn.Linear(4, 3), nn.Linear(3, 1), nn.Linear(3, 1)
    every = [*body.parameters(), *first.parameters(), *second.parameters()]
    optimizer = torch.optim.Adam(every)

    def task(head):
        optimizer.zero_grad()
        head(body(INPUTS)).sum().backward()
        optimizer.step()

    task(first)
    task(second)
    with gradaudit.audit() as audit:
        for _ in range(6):
            task(first)
    assert audit.findings == ()


def test_an_optimizer_that_the_block_does_not_use_has_its_parameters():
    generator, critic = nn.Linear(2, 4), nn.Linear(4, 1)
    builders = {"generator": torch.optim.Adam(generator.parameters())}
    optimizer = torch.optim.Adam(critic.parameters())

    def criticise():
        for _ in range(4):
            optimizer.zero_grad()
            critic(generator(torch.ones(3, 2))).mean().backward()
            optimizer.step()

    with gradaudit.audit() as audit:
        criticise()
    assert audit.findings == ()
    builders.clear()
    with gradaudit.audit() as audit:
        criticise()
    assert [finding.rule for finding in audit.findings] == ["GA401"]
    assert "optimizer.step()" in audit.findings[0].location.source


def found_in(training, block):
    with gradaudit.audit() as audit:
        block(training)
    return {finding.rule: finding for finding in audit.findings if finding.severity != "note"}


def test_a_cut_in_a_model_of_before():
    found = found_in(Training(model=Cut()), whole_iterations)
    assert set(found) == {"GA101", "GA102"}
    cut, unused = found["GA102"], found["GA101"]
    assert cut.location.source.strip() == "features = self.encoder(x).detach()"
    assert all(name.startswith("training.model.encoder.") for name in cut.parameters)
    assert unused.location.source.strip() == "self.spare = nn.Linear(3, 3)"
    qualified = sys.version_info >= (3, 11)  # code knows its qualified name from then on
    assert unused.location.function == ("Net.__init__" if qualified else "__init__")


def test_a_clearing_that_is_missing(training):
    def block(t):
        for _ in range(4):
            t.backward()
            t.step()

    assert set(found_in(training, block)) == {"GA201"}


def test_a_clearing_at_the_wrong_place(training):
    def block(t):
        for _ in range(4):
            t.backward()
            t.clear()
            t.step()

    assert set(found_in(training, block)) == {"GA203"}


def test_a_backward_that_is_missing():
    def block(t):
        for _ in range(4):
            t.loss()
            t.step()

    assert set(found_in(Training(), block)) == {"GA105"}


def test_a_step_that_is_missing(training):
    def block(t):
        for _ in range(5):
            t.clear()
            t.backward()

    assert set(found_in(training, block)) == {"GA405"}


def test_a_parameter_that_is_replaced_in_the_block():
    def block(t):
        t.model[1] = nn.Linear(3, 1)
        t.iterate(4)

    assert set(found_in(Training(), block)) == {"GA402"}


def test_a_gradient_of_an_evaluation():
    def block(t):
        for _ in range(4):
            t.clear()
            t.model.eval()
            t.loss().backward()
            t.model.train()
            t.backward()
            t.step()

    assert set(found_in(Training(), block)) == {"GA302"}


def test_a_rest_that_is_told():
    training = Training(model=Net())
    with gradaudit.audit() as audit:
        training.iterate()
    gaps = {gap.what: gap.why for gap in audit.report.coverage.gaps}
    assert list(gaps) == ["the rest of the program"]
    assert audit.report.run.target in gaps["the rest of the program"]
