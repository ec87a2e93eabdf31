"""``with gradaudit.audit() as audit``: its life, its report, what it leaves behind."""

from __future__ import annotations

import contextlib
import gc
import linecache
import os
import sys
import threading
import traceback
import weakref
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
import torch
from torch.nn.modules import module as torch_module
from torch.optim import optimizer as torch_optimizer

import gradaudit
from gradaudit.model.report import Report
from gradaudit.observe import forks
from gradaudit.observe import recorder as recorder_module
from gradaudit.rules import timelines

from .training import Cut, Net, Training


def missing_clearing(training, times=4):
    for _ in range(times):
        training.backward()
        training.step()


def line_of(function, text):
    lines, first = (
        linecache.getlines(function.__code__.co_filename),
        function.__code__.co_firstlineno,
    )
    return next(number for number in range(first, len(lines) + 1) if text in lines[number - 1])


def test_the_report_is_there_when_the_block_is_over():
    training = Training()
    with gradaudit.audit() as audit:
        training.iterate(3)
    report = audit.report
    assert isinstance(report, Report)
    assert (report.run.iterations, report.run.optimizer_steps) == (3, 3)
    assert report.run.outcome == "completed"
    here = line_of(test_the_report_is_there_when_the_block_is_over, "with gradaudit.audit()")
    assert report.run.target.endswith(f"test_audit.py:{here}")


def test_there_is_no_report_before():
    audit = gradaudit.audit()
    with pytest.raises(gradaudit.AuditError, match="never begun"):
        _ = audit.report
    with audit, pytest.raises(gradaudit.AuditError, match="still under way"):
        _ = audit.report


def test_an_audit_is_for_one_block():
    with gradaudit.audit() as audit:
        pass
    with pytest.raises(gradaudit.AuditError, match="begun before"), audit:
        pass


def test_one_at_a_time():
    with gradaudit.audit() as outer:
        with pytest.raises(
            gradaudit.AuditError, match=r"under way already, since .*test_audit\.py"
        ):
            gradaudit.audit().__enter__()
        Training().iterate(3)
    assert outer.report.run.iterations == 3


def patched():
    places = (torch, torch.autograd, torch.nn.Module, torch.optim.Optimizer, torch.Tensor)
    return [dict(vars(place)) for place in (*places, torch.amp.GradScaler)]


def test_repeated_audits_are_apart_and_leave_nothing():
    Training().iterate(1)  # what torch imports and wraps at its first step
    before = patched()
    reports = []
    for times in (2, 5, 3):
        training = Training()
        with gradaudit.audit() as audit:
            training.iterate(times)
        reports.append(audit.report)
    assert [report.run.iterations for report in reports] == [2, 5, 3]
    assert patched() == before
    assert not torch_module._global_parameter_registration_hooks
    assert not torch_module._global_module_registration_hooks
    assert not torch_optimizer._global_optimizer_pre_hooks
    assert not torch_optimizer._global_optimizer_post_hooks
    assert torch.overrides._get_current_function_mode_stack() == []
    assert sys.gettrace() is None or not type(sys.gettrace()).__module__.startswith("gradaudit")


def test_nothing_of_the_block_is_kept_alive():
    training = Training()
    with gradaudit.audit() as audit:
        training.iterate(3)
    kept = [weakref.ref(parameter) for parameter in training.model.parameters()]
    del training
    gc.collect()
    assert [reference() for reference in kept] == [None] * 4
    assert audit.report.run.iterations == 3


def test_no_recorder_outlives_its_audit():
    gc.collect()
    before = len(forks._watching)
    with gradaudit.audit():
        Training().iterate(2)
    gc.collect()
    assert len(forks._watching) == before


def fails(training):
    training.iterate(2)
    raise KeyError("lost")


def test_an_exception_passes_and_is_told():
    training = Training()
    with pytest.raises(KeyError) as caught, gradaudit.audit() as audit:
        fails(training)
    files = {frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)}
    assert files == {__file__}
    run = audit.report.run
    assert (run.outcome, run.exit_code, run.iterations) == ("failed", 1, 2)
    assert (run.exception.type, run.exception.location.source.strip()) == (
        "KeyError",
        'raise KeyError("lost")',
    )


def test_no_frame_of_ours_in_what_torch_raises():
    with pytest.raises(RuntimeError) as caught, gradaudit.audit():
        torch.ones(2, requires_grad=True).backward()
    files = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert files[0] == __file__
    assert not [file for file in files if "/gradaudit/observe/" in file]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (SystemExit(3), "failed"),
        (GeneratorExit(), "completed"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_how_it_ended(error, outcome):
    with contextlib.suppress(BaseException), gradaudit.audit() as audit:
        raise error
    assert audit.report.run.outcome == outcome


def test_a_block_can_be_left_after_some_iterations():
    training, passes = Training(), 0
    with gradaudit.audit(max_iterations=3) as audit:
        for _ in range(50):
            training.iterate()
            passes += 1
    assert passes == 3
    assert audit.report.run.outcome == "stopped"


@pytest.mark.parametrize("options", [{"ignore": "GA201"}, {"select": ["missing-backward,GA102"]}])
def test_a_rule_that_is_none_is_refused(options):
    if "select" in options:
        with pytest.raises(ValueError, match="missing-backward"):
            gradaudit.audit(**options)
        return
    with gradaudit.audit(**options) as audit:
        missing_clearing(Training())
    assert audit.findings == ()
    assert [item.finding.rule for item in audit.report.suppressed] == ["GA201"]


def test_the_number_of_iterations_has_to_be_one():
    with pytest.raises(ValueError, match="1 or more"):
        gradaudit.audit(max_iterations=0)


def test_a_comment_decides():
    training = Training()
    with gradaudit.audit() as audit:
        for _ in range(4):
            training.loss().backward()  # gradaudit: ignore[GA201] gradients pile up on purpose
            training.step()
    assert [item.reason for item in audit.report.suppressed] == ["gradients pile up on purpose"]


def test_entered_by_a_stack():
    with contextlib.ExitStack() as stack:
        audit = stack.enter_context(gradaudit.audit())
        Training().iterate(2)
    assert "test_audit.py:" in audit.report.run.target
    assert audit.report.run.iterations == 2


def test_another_thread_can_have_one():
    reports = []

    def work():
        with gradaudit.audit() as audit:
            missing_clearing(Training(model=Cut()))
        reports.append(audit.report)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert {finding.rule for finding in reports[0].findings} >= {"GA102", "GA201"}
    assert {gap.what for gap in reports[0].coverage.gaps} == {"the rest of the program"}


def test_a_forked_child_can_have_its_own(tmp_path):
    told = tmp_path / "told"
    with gradaudit.audit() as audit:
        training = Training()
        training.iterate(2)
        if not (child := os.fork()):
            try:
                with gradaudit.audit() as own:
                    training.iterate(3)
                told.write_text(str(own.report.run.iterations))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        training.iterate(1)
    assert told.read_text() == "3"
    assert audit.report.run.iterations == 3


@pytest.mark.parametrize(
    ("place", "name"),
    [(recorder_module.Recorder, "install"), (timelines.Timelines, "of")],
    ids=["recording", "judging"],
)
def test_what_breaks_in_the_audit_is_no_fault_of_the_block(monkeypatch, capsys, place, name):
    def breaks(*_):
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(place, name, breaks)
    training = Training()
    with gradaudit.audit() as audit:
        training.iterate(2)
    assert "ZeroDivisionError: inside" in capsys.readouterr().err
    assert [gap.what for gap in audit.report.coverage.gaps] == ["everything"]
    with pytest.raises(gradaudit.AuditError, match="was not recorded"):
        audit.assert_clean()


# -- assertions ------------------------------------------------------------------------------------


def test_a_clean_block_is_clean():
    with gradaudit.audit() as audit:
        Training().iterate(4)
    audit.assert_clean(fail_on="note")


def test_what_is_found_is_told():
    with gradaudit.audit() as audit:
        missing_clearing(Training())
    with pytest.raises(AssertionError) as failure:
        audit.assert_clean()
    first, rest = str(failure.value).split("\n", 1)
    assert first.startswith("GA201 missing-zero-grad at ")
    assert "self.loss().backward()" in rest
    assert "optimizer.zero_grad()" in rest
    audit.assert_clean(fail_on="never")
    with pytest.raises(ValueError, match=r"fail_on is one of 'error', .* not 'errors'"):
        audit.assert_clean(fail_on="errors")


def test_all_gradients_arrive():
    training = Training()
    with gradaudit.audit() as audit:
        training.iterate(2)
    audit.assert_gradients_arrive(training.model)


@pytest.mark.parametrize("inside", [False, True])
def test_gradients_that_do_not_arrive(inside):
    training = Training(model=Cut())
    training.model.head.bias.requires_grad_(False)
    with gradaudit.audit() as audit:
        training.iterate(2)
        if inside:
            with pytest.raises(AssertionError) as failure:
                audit.assert_gradients_arrive(training.model)
            training.iterate(2)
    if not inside:
        with pytest.raises(AssertionError) as failure:
            audit.assert_gradients_arrive(training.model)
    first, rest = str(failure.value).split("\n", 1)
    assert first.startswith("4 of 5 trainable parameters of Cut received no gradient: ")
    assert "encoder" in first
    assert "spare" in first
    assert "features = self.encoder(x).detach()" in rest
    assert "self.spare = nn.Linear(3, 3)" in rest
    assert audit.report.run.iterations == 2


def test_gradients_that_nobody_asks_for():
    """Without an optimizer no rule would miss them."""
    model = Cut()
    with gradaudit.audit() as audit:
        model(torch.ones(1, 4)).sum().backward()
    audit.assert_clean()
    with pytest.raises(AssertionError) as failure:
        audit.assert_gradients_arrive(model)
    assert "features = self.encoder(x).detach()" in str(failure.value)
    assert "Nothing that the block did was seen to use spare.weight, spare.bias." in str(
        failure.value
    )


def test_no_backward_at_all():
    model = Net()
    with gradaudit.audit() as audit:
        model(torch.ones(1, 4))
    with pytest.raises(AssertionError, match=r"No backward call was seen in the block at .*:\d+"):
        audit.assert_gradients_arrive(model)


def test_nothing_to_ask_for():
    with gradaudit.audit() as audit:
        pass
    with pytest.raises(ValueError, match="No parameter of ReLU"):
        audit.assert_gradients_arrive(torch.nn.ReLU())


# -- how it shows ----------------------------------------------------------------------------------


class Frames(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_a_notebook_shows_the_page_in_a_frame():
    with gradaudit.audit() as audit:
        assert audit._repr_mimebundle_() == {"text/plain": "<gradaudit audit, running>"}
        missing_clearing(Training())
    shown = audit._repr_mimebundle_(include=None, exclude=None)
    assert "error[GA201]" in shown["text/plain"]
    frames = Frames()
    frames.feed(shown["text/html"])
    ((tag, attributes),) = frames.found
    assert tag == "iframe"
    assert attributes["sandbox"] == "allow-scripts"
    assert attributes["srcdoc"].startswith("<!DOCTYPE html>")
    assert '<base href="about:srcdoc">' in attributes["srcdoc"]
    assert "GA201" in attributes["srcdoc"]


def test_an_audit_without_a_report_shows_as_one_line():
    audit = gradaudit.audit()
    assert audit._repr_html_() is None
    assert audit._repr_mimebundle_() == {"text/plain": "<gradaudit audit, new>"}


def test_a_notebook_shows_the_report_as_it_shows_the_audit(monkeypatch):
    shown_by: dict[str, dict] = {"text/html": {}, "text/plain": {}}
    formatters = {kind: SimpleNamespace(for_type=of.__setitem__) for kind, of in shown_by.items()}
    shell = SimpleNamespace(
        compile=SimpleNamespace(format_code_name={}.get),
        display_formatter=SimpleNamespace(formatters=formatters),
    )
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    with gradaudit.audit() as audit:
        missing_clearing(Training())
    shown = audit._repr_mimebundle_()
    assert shown_by["text/html"][Report](audit.report) == shown["text/html"]
    told: list[str] = []
    shown_by["text/plain"][Report](audit.report, SimpleNamespace(text=told.append), False)
    assert told == [shown["text/plain"]]


def test_one_line_of_it():
    with gradaudit.audit() as audit:
        Training().iterate(3)
    assert "healthy: 3 iterations" in repr(audit)
    assert str(audit).endswith(" s)")


# -- cells -----------------------------------------------------------------------------------------

CELLS = (
    "from embed.training import Training\n",
    "def train(t):\n    for _ in range(4):\n        t.loss().backward()\n        t.step()\n",
    "with gradaudit.audit() as audit:\n    train(Training())\n",
)


@pytest.mark.parametrize("style", ["<ipython-input-{}-abc>", "{tmp}/ipykernel_7/{}.py"])
def test_cells_are_the_users_code_and_are_called_by_their_number(tmp_path, monkeypatch, style):
    names = [style.format(number, tmp=tmp_path) for number in range(1, 4)]
    numbers = {name: ("Cell", f"In[{number}]") for number, name in enumerate(names, 1)}
    shell = SimpleNamespace(compile=SimpleNamespace(format_code_name=numbers.get))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    variables = {"__name__": "cells", "gradaudit": gradaudit}
    for name, source in zip(names, CELLS, strict=True):
        entry = (len(source), None, source.splitlines(keepends=True), name)
        monkeypatch.setitem(linecache.cache, name, entry)
        exec(compile(source, name, "exec"), variables)  # noqa: S102 - what IPython does
    report = variables["audit"].report
    assert report.run.target == "In[3]:1"
    (finding,) = report.findings
    assert (finding.rule, finding.location.path, finding.location.line) == ("GA201", "In[2]", 3)
    assert finding.location.source.strip() == "t.loss().backward()"
    assert [loop.location.path for loop in report.loops] == ["In[2]"]
