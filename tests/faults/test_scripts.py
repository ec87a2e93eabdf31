"""What goes wrong in a script goes wrong in the same way under the audit, and leaves a report."""

from __future__ import annotations

import json
import textwrap

import pytest
from launch.twins import write

from .scripts import ENDINGS, GAPS, HEALTHY, MODEL, RECURSION

OPTIONS = ("--quiet", "--fail-on", "never", "--json", "report.json")


@pytest.fixture
def report(warm, tmp_path):
    """The report of a script that must not notice."""

    def audit(source):
        script = write(tmp_path / "train.py", MODEL + textwrap.dedent(source))
        plain = warm.plain(tmp_path, str(script))
        audited = warm.attentive(tmp_path, "run", *OPTIONS, "train.py")
        assert audited.out == plain.out
        assert audited.err == plain.err
        assert audited.code == plain.code
        return json.loads((tmp_path / "report.json").read_bytes()), plain

    return audit


@pytest.mark.parametrize("name", HEALTHY)
def test_survived(report, name):
    told, plain = report(HEALTHY[name])
    assert plain.code == 0, plain.err
    assert told["run"]["outcome"] == "completed"
    assert told["findings"] == []
    assert told["coverage"]["gaps"] == []


def test_the_dataflow_is_followed_behind_a_deep_recursion(report):
    cut = """
model, optimizer = make()
for _ in range(4):
    optimizer.zero_grad()
    model[1:](model[0](torch.ones(5, 3)).detach()).mean().backward()
    optimizer.step()
"""
    told, _ = report(RECURSION + cut)
    assert [finding["rule"] for finding in told["findings"]] == ["GA102"]


@pytest.mark.parametrize("name", GAPS)
def test_what_was_not_seen_is_said(report, name):
    source, gap = GAPS[name]
    told, plain = report(source)
    assert plain.code == 0, plain.err
    assert told["findings"] == []
    assert [each["what"] for each in told["coverage"]["gaps"]] == [gap]


@pytest.mark.parametrize("name", ENDINGS)
def test_ends_as_it_would(warm, tmp_path, name):
    write(tmp_path / "train.py", MODEL + textwrap.dedent(ENDINGS[name]))
    plain = warm.plain(tmp_path, "train.py")
    assert plain.code
    assert warm.attentive(tmp_path, "run", *OPTIONS, "train.py") == plain
    assert json.loads((tmp_path / "report.json").read_bytes())["run"]["backward_calls"]
