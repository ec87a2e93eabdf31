"""The pytest plugin, in a pytest of its own: once in one process, once in a worker of xdist's."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from launch.twins import environment, write

SUITE = """
    import unittest

    import pytest
    import torch
    from torch import nn


    def train(model, cut=False):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            features = model[0](torch.ones(4, 2))
            if cut:
                features = features.detach()
            loss = model[1](features).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


    def network():
        return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


    @pytest.fixture
    def model():
        return network()


    def test_unmarked(model):
        train(model, cut=True)


    @pytest.mark.gradaudit
    @pytest.mark.parametrize("cut", [False, True])
    def test_marked(model, cut):
        train(model, cut)


    @pytest.mark.gradaudit(fail_on="never")
    def test_never(model):
        train(model, cut=True)


    @pytest.mark.gradaudit(ignore="graph-cut")
    def test_ignored(model):
        train(model, cut=True)


    @pytest.mark.gradaudit
    def test_fails_by_itself(model):
        train(model, cut=True)
        assert len("two") == 2


    @pytest.mark.gradaudit
    def test_skipped(model):
        pytest.skip("not today")


    @pytest.mark.gradaudit
    @pytest.mark.xfail(strict=True)
    def test_expected(model):
        train(model, cut=True)


    def test_fixture(gradient_audit, model):
        train(model)
        gradient_audit.assert_gradients_arrive(model)


    def test_fixture_alone(gradient_audit, model):
        train(model, cut=True)


    def test_fixture_asked(gradient_audit, model):
        train(model, cut=True)
        gradient_audit.assert_gradients_arrive(model)


    @pytest.mark.gradaudit
    def test_nested(model):
        import gradaudit

        with gradaudit.audit():
            train(model)


    @pytest.mark.gradaudit("error")
    def test_by_position():
        pass


    @pytest.mark.gradaudit(fail_on="errors")
    def test_severity():
        pass


    @pytest.mark.gradaudit(select="GA999")
    def test_rule():
        pass


    @pytest.mark.gradaudit
    class TestUnit(unittest.TestCase):
        def setUp(self):
            self.model = network()

        def test_sound(self):
            train(self.model)

        def test_cut(self):
            train(self.model, cut=True)

        def test_fails_by_itself(self):
            train(self.model, cut=True)
            self.assertEqual(1, 2)
"""

LINE = SUITE.splitlines().index("                features = features.detach()") + 1
COLUMN = ":" if sys.version_info >= (3, 11) else "\n"  # columns are known from then on
CUT = f"GA102 graph-cut at test_suite.py:{LINE}{COLUMN}"
BY_NAME = "@pytest.mark.gradaudit takes fail_on, select, ignore by name, not 'error'"

#: What does not pass, and how the text begins that says why.
FAILS = {
    "test_marked[True]": CUT,
    "test_fails_by_itself": "AssertionError: assert 3 == 2",
    "test_fixture_alone": CUT,
    "test_fixture_asked": "AssertionError: 2 of 4 trainable parameters of Sequential received no",
    "test_nested": "gradaudit.AuditError: An audit is under way already, since",
    "test_by_position": BY_NAME,
    "test_severity": "@pytest.mark.gradaudit: fail_on is one of 'error', 'warning', 'note', ",
    "test_rule": "@pytest.mark.gradaudit: there is no rule 'GA999'",
    "TestUnit::test_cut": CUT,
    "TestUnit::test_fails_by_itself": "AssertionError: 1 != 2",
}
SKIPS = {"test_skipped", "test_expected"}
PASSES = {
    "test_unmarked",
    "test_marked[False]",
    "test_never",
    "test_ignored",
    "test_fixture",
    "TestUnit::test_sound",
}


@dataclass(frozen=True)
class Outcome:
    """``message`` is the short reason, ``text`` all that is shown of it."""

    kind: str
    message: str = ""
    text: str = ""


def run_pytest(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "gradaudit.pytest_plugin", *arguments],
        cwd=directory,
        env=environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", COLUMNS="200"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.fixture(
    scope="module", params=[(), ("-p", "xdist", "-n", "1")], ids=["one process", "a worker"]
)
def outcomes(request, tmp_path_factory) -> dict[str, Outcome]:
    directory = tmp_path_factory.mktemp("suite")
    write(directory / "test_suite.py", SUITE)
    write(directory / "pytest.ini", "[pytest]\naddopts = --strict-markers\n")
    run_pytest(directory, "--junitxml", "told.xml", *request.param)
    found = {}
    for case in ET.parse(directory / "told.xml").iter("testcase"):  # noqa: S314 - ours
        within = case.get("classname", "").removeprefix("test_suite").strip(".")
        told = [each for each in case if each.tag in ("failure", "error", "skipped")]
        output = "".join(each.text or "" for each in case if each.tag == "system-out")
        name = f"{within}::{case.get('name')}" if within else str(case.get("name"))
        found[name] = (
            Outcome(told[0].tag, told[0].get("message", ""), (told[0].text or "") + output)
            if told
            else Outcome("passed")
        )
    return found


def test_all_were_run(outcomes):
    assert outcomes.keys() == {*FAILS, *SKIPS, *PASSES}


@pytest.mark.parametrize("name", FAILS)
def test_fails(outcomes, name):
    assert outcomes[name].kind in ("failure", "error")
    assert outcomes[name].message.removeprefix("Failed: ").startswith(FAILS[name])


@pytest.mark.parametrize("name", sorted(SKIPS))
def test_is_skipped(outcomes, name):
    assert outcomes[name].kind == "skipped"


@pytest.mark.parametrize("name", sorted(PASSES))
def test_passes(outcomes, name):
    assert outcomes[name].kind == "passed"


FOUND = [name for name, text in FAILS.items() if text == CUT]


@pytest.mark.parametrize("name", FOUND)
def test_a_failure_shows_the_finding_and_nothing_else(outcomes, name):
    text = outcomes[name].text
    assert text.count("error[GA102] graph-cut") == 1
    assert "features = features.detach()" in text
    assert "another exception" not in text
    assert not re.search(r"pytest_plugin|embed/\w+\.py|Traceback", text)


def test_what_was_asked_shows_the_users_line(outcomes):
    text = outcomes["test_fixture_asked"].text
    assert ">       gradient_audit.assert_gradients_arrive(model)" in text
    assert text.count("error[GA102] graph-cut") == 1
    assert not re.search(r"pytest_plugin|embed/\w+\.py", text)


def test_a_run_that_uses_neither_pays_nothing(tmp_path):
    write(
        tmp_path / "test_nothing.py",
        """
        import sys


        def test_nothing():
            ours = {name for name in sys.modules if name.partition(".")[0] == "gradaudit"}
            assert ours == {"gradaudit", "gradaudit.pytest_plugin"}
            assert not {"torch", "rich", "msgspec", "jinja2", "typer"} & sys.modules.keys()
        """,
    )
    assert "1 passed" in run_pytest(tmp_path)


def test_the_marker_is_listed(tmp_path):
    assert "@pytest.mark.gradaudit(*, fail_on='error'" in run_pytest(tmp_path, "--markers")
