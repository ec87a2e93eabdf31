from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pytest
from jsonschema import Draft4Validator

from gradaudit.model.findings import Severity
from gradaudit.model.report import Report
from gradaudit.render.checkout import Checkout
from gradaudit.render.sarif import sarif
from gradaudit.rules.catalogue import RULES

from .reports import at, finding, report
from .samples import AWKWARD, EVERY
from .snapshots import assert_as_before

# The schema of the standard (OASIS SARIF 2.1.0, rtm.5) as the npm package @microsoft/jest-sarif
# 1.0.0-beta.0 ships it.  The later erratum adds one demand, which a test below makes.
SCHEMA = json.loads(
    Path(__file__).with_name("schemas").joinpath("sarif-2.1.0-rtm.5.json").read_text("utf-8")
)
VALIDATOR = Draft4Validator(SCHEMA, format_checker=Draft4Validator.FORMAT_CHECKER)


@dataclass(frozen=True)
class FakeRule:
    code: str = "GA102"
    name: str = "graph-cut"
    severity: Severity = "error"
    family: str = "the gradient never arrives"
    summary: str = "An operation left the graph."
    documentation: str = "\n## What it finds\nA cut.\n"


def written(sample: Report, checkout: Checkout | None = None) -> str:
    return sarif(sample, checkout or Checkout(), (FakeRule(),))


def run_of(sample: Report, checkout: Checkout | None = None) -> dict:
    return json.loads(written(sample, checkout))["runs"][0]


def regions(value: object):
    if isinstance(value, dict):
        yield from [value["region"]] if "region" in value else []
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from regions(item)


@pytest.mark.parametrize("name", [*AWKWARD, "many", "failed", "no_location"])
def test_it_is_as_it_was(name):
    assert_as_before(written(EVERY[name]), f"{name}.sarif")


@pytest.mark.parametrize("name", EVERY)
def test_the_standard_is_kept(name):
    log = json.loads(sarif(EVERY[name], Checkout(), RULES))
    assert [error.message for error in VALIDATOR.iter_errors(log)] == []
    assert all({"startLine", "charOffset", "byteOffset"} & region.keys() for region in regions(log))


@pytest.mark.parametrize("name", EVERY)
def test_every_finding_is_a_result_with_a_place_and_a_rule(name):
    run = run_of(EVERY[name])
    rules = run["tool"]["driver"]["rules"]
    assert len(run["results"]) == len(EVERY[name].findings)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["locations"]
        assert result["partialFingerprints"] == {"gradaudit/v1": "0123456789abcdef"}


def test_the_chain_is_a_code_flow_in_order():
    first = run_of(EVERY["many"])["results"][0]
    (flow,) = first["codeFlows"][0]["threadFlows"]
    told = [step["location"]["message"]["text"] for step in flow["locations"]]
    assert told == [event.message for event in EVERY["many"].findings[-1].related]


def test_columns_are_those_of_the_source():
    source = "    größe = 梯.detach()  # why"
    result = run_of(report(finding(location=at(5, source, "梯.detach()"))))["results"][0]
    region = result["locations"][0]["physicalLocation"]["region"]
    assert region["snippet"]["text"] == source
    start, end = region["startColumn"] - 1, region["endColumn"] - 1
    assert source[start:end] == "梯.detach()"


@pytest.mark.parametrize(
    ("path", "root", "address"),
    [
        ("train.py", None, ("train.py", "SRCROOT")),
        ("train.py", "/home/ada", ("project/train.py", "SRCROOT")),
        ("../lib/a b#c.py", "/home/ada", ("lib/a%20b%23c.py", "SRCROOT")),
        ("../lib/a.py", None, ("file:///home/ada/lib/a.py", None)),
        ("/opt/net.py", "/home/ada", ("file:///opt/net.py", None)),
        ("größe.py", None, ("gr%C3%B6%C3%9Fe.py", "SRCROOT")),
        ("\udcff.py", None, ("%FF.py", "SRCROOT")),
        ("<string>", None, ("%3Cstring%3E", "SRCROOT")),
    ],
)
def test_files_are_told_below_the_root(path, root, address):
    run = run_of(report(finding(location=at(5, path=path))), Checkout(root))
    artifact = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert (artifact["uri"], artifact.get("uriBaseId")) == address
    base = run["originalUriBaseIds"]["SRCROOT"]["uri"]
    assert unquote(base) == f"file://{root or '/home/ada/project'}/"


def test_what_was_not_observed_is_told_beside_the_results():
    (invocation,) = run_of(EVERY["failed"])["invocations"]
    assert not invocation["executionSuccessful"]
    assert "RuntimeError" in invocation["toolExecutionNotifications"][0]["message"]["text"]
    (invocation,) = run_of(EVERY["healthy_with_gaps"])["invocations"]
    assert len(invocation["toolExecutionNotifications"]) == 2
