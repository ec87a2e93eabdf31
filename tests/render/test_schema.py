from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import gradaudit.model
from gradaudit.render.json_report import dumps
from gradaudit.render.schema import report_schema, schema_text

from .reports import at, finding, parameter, report

PUBLISHED = Path(gradaudit.model.__file__).with_name("report.schema.json")


def errors(data: bytes) -> list[str]:
    validator = Draft202012Validator(json.loads(PUBLISHED.read_text(encoding="utf-8")))
    return sorted(error.json_path for error in validator.iter_errors(json.loads(data)))


def test_the_published_schema_is_the_generated_one():
    assert PUBLISHED.read_text(encoding="utf-8") == schema_text(), (
        "regenerate it: python -m gradaudit.render.schema > gradaudit/model/report.schema.json"
    )


def test_it_is_a_schema():
    Draft202012Validator.check_schema(report_schema())


def test_the_module_prints_it():
    command = [sys.executable, "-m", "gradaudit.render.schema"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == schema_text()


@pytest.mark.parametrize(
    "sample",
    [
        report(),
        report(iterations=0, torch=None, parameters=()),
        report(finding(location=at(3, "x = y", "y")), finding(severity="note")),
        report(parameters=(replace(parameter("w"), grad_norm=((0, math.nan), (1, 2.0))),)),
    ],
    ids=["plain", "nothing", "findings", "nonfinite"],
)
def test_reports_fulfil_it(sample):
    assert errors(dumps(sample)) == []


def test_it_refuses_what_is_wrong():
    data = dumps(report()).replace(b'"fresh"', b'"rotten"').replace(b'"numel": 2048', b'"n": 0')
    assert errors(data) == [
        "$.parameters[0]",
        "$.parameters[0].timeline[0].state",
        "$.parameters[1]",
        "$.parameters[1].timeline[0].state",
    ]
