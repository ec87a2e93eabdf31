"""Scripts whose loop lies in an installed framework: as it runs plain, and on the user's line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fixtures.faulty import Faulty
from fixtures.warm import Warm

from .table import FAULTY, FRAMEWORKS, HEALTHY, SCRIPTS


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """One process that has loaded all of them: most of what they import they share."""
    modules = [name for framework in FRAMEWORKS if framework.there for name in framework.modules]
    with Warm(tmp_path_factory.mktemp("frameworks"), *modules) as server:
        yield server


@pytest.fixture
def audit(request, tmp_path):
    """Run a script plain and audited; assert that they print the same, and return the report."""

    def one(script: str) -> dict[str, Any]:
        folder, name = (SCRIPTS / script).parent, Path(script).name
        framework = next(each for each in FRAMEWORKS if each.name == folder.name)
        if not framework.there:
            pytest.skip(f"{framework.name} is not installed: pip install '.[frameworks]'")
        server = request.getfixturevalue("warm")
        file = tmp_path / "report.json"
        plain = server.plain(folder, name)
        audited = server.attentive(
            folder, "run", "--quiet", "--fail-on", "never", "--json", str(file), name
        )
        assert audited == plain
        assert plain.code == 0
        assert plain.out
        return json.loads(file.read_bytes())

    return one


def loud(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [finding for finding in report["findings"] if finding["severity"] != "note"]


def line_of(case: Faulty) -> tuple[str, int]:
    text = (SCRIPTS / case.script).read_text()
    assert text.count(case.line) == 1, "the piece of text must name one line"
    return Path(case.script).name, text[: text.index(case.line)].count("\n") + 1


@pytest.mark.parametrize("case", FAULTY, ids=lambda case: case.script)
def test_faulty(audit, case):
    told = [
        (
            finding["rule"],
            finding["severity"],
            (finding["location"]["path"], finding["location"]["line"]),
            set(finding["parameters"]),
        )
        for finding in loud(audit(case.script))
    ]
    assert told == [(case.rule, case.severity, line_of(case), set(case.parameters))]


@pytest.mark.parametrize("script", HEALTHY)
def test_healthy(audit, script):
    report = audit(script)
    assert loud(report) == []
    assert report["coverage"]["gaps"] == []
    assert report["run"]["iterations"]


def test_every_script_is_in_the_table():
    found = sorted(path.relative_to(SCRIPTS).as_posix() for path in SCRIPTS.rglob("*.py"))
    assert sorted([*(case.script for case in FAULTY), *HEALTHY]) == found
