"""A script that runs inside a block is told the same as under ``gradaudit run``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.table import FAULTY, FIXTURES, HEALTHY, need
from launch.twins import environment

#: The first script of each rule.
#: Without the rules of several ranks, which a block in one process cannot show.
ONE_EACH = {
    case.rule: case.script
    for case in reversed(FAULTY)
    if case.severity != "note" and not case.rule.startswith("GA6")
}
FAULTY_ONES = {script: [rule] for rule, script in ONE_EACH.items()}
HEALTHY_ONES = {script: [] for script in HEALTHY if script.startswith("healthy/")}
EXPECTED: dict[str, list[str]] = {**FAULTY_ONES, **HEALTHY_ONES}


@pytest.fixture(scope="module")
def found():
    program = Path(__file__).with_name("in_blocks.py")
    done = subprocess.run(
        [sys.executable, str(program), *(str(FIXTURES / script) for script in EXPECTED)],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("script", EXPECTED)
def test_in_a_block(found, script):
    need(script)
    assert found[str(FIXTURES / script)] == EXPECTED[script]
