from __future__ import annotations

import dataclasses
import json
import math

import pytest

from gradaudit.model.findings import Consequence, Related, Span
from gradaudit.model.report import ExceptionInfo, Gap, Report, TimelineRun
from gradaudit.render.json_report import ReportError, dumps, loads

from .reports import at, finding, parameter, report
from .samples import AWKWARD, EVERY
from .snapshots import assert_as_before


def rich_report() -> Report:
    line = at(42, "    z = self.encoder(x).detach()", "self.encoder(x).detach()")
    return report(
        finding(
            location=line,
            related=(Related("it is cut here", line), Related("and lost here", at(44))),
            iterations=Span(0, 119, 120),
            consequences=(Consequence("GA404", "it is stepped with None", ("net.head",)),),
        ),
        finding(severity="note", help="naïve größe 梯度 </script> [red]"),
        gaps=(Gap("compiled regions", "torch.compile was left alone"),),
        outcome="failed",
        exception=ExceptionInfo("ValueError", "two\nlines", line),
        rank=1,
        world_size=2,
    )


def edited(path: str, value: object) -> bytes:
    """The rich report with one field of its JSON replaced."""
    document = json.loads(dumps(rich_report()))
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    holder = document
    for key in parents:
        holder = holder[key]
    holder[last] = value
    return json.dumps(document).encode()


def refusal(data: bytes) -> str:
    with pytest.raises(ReportError) as caught:
        loads(data)
    return str(caught.value)


@pytest.mark.parametrize("original", [report(), rich_report()], ids=["empty", "rich"])
def test_a_report_survives_the_round_trip(original):
    assert loads(dumps(original)) == original


@pytest.mark.parametrize("name", [*AWKWARD, "many", "no_torch"])
def test_it_is_as_it_was(name):
    assert_as_before(dumps(EVERY[name]).decode(), f"{name}.json")


@pytest.mark.parametrize("name", EVERY)
def test_awkward_reports_survive_it_too(name):
    once = loads(dumps(EVERY[name]))  # what no file can hold is spelled out by then
    assert dumps(loads(dumps(once))) == dumps(once) == dumps(EVERY[name])


def test_unknown_fields_are_tolerated():
    document = json.loads(dumps(rich_report()))
    document["later"] = {"anything": 1}
    document["parameters"][0]["later"] = document["findings"][0]["later"] = [1, 2]
    assert loads(json.dumps(document).encode()) == rich_report()


@pytest.mark.parametrize("norm", [math.nan, math.inf, -math.inf])
def test_norms_that_are_not_finite_are_null_for_strict_parsers_and_nan_for_us(norm):
    sampled = dataclasses.replace(parameter("w"), grad_norm=((0, 1.5), (7, norm)))
    data = dumps(report(parameters=(sampled,)))

    def strict(constant):
        raise AssertionError(f"{constant} is not JSON")

    document = json.loads(data, parse_constant=strict)
    assert document["parameters"][0]["grad_norm"] == [[0, 1.5], [7, None]]
    (_, first), (iteration, second) = loads(data).parameters[0].grad_norm
    assert first == 1.5
    assert iteration == 7
    assert math.isnan(second)


def test_text_that_is_not_utf8_is_spelled_out():
    original = report(argv=("--data", "caf\udce9.csv"))
    assert loads(dumps(original)).run.argv == ("--data", "caf\\udce9.csv")


def test_the_layout_is_for_readers():
    text = dumps(rich_report()).decode()
    assert text.endswith("}\n")
    assert '\n "tool": {"name": "gradaudit", "version": "0.1.0"},\n' in text
    assert '\n   "timeline": [{"first": 0, "last": 119, "state": "fresh", ' in text
    assert '\n    {"message": "it is cut here", "location": {"path": "train.py", ' in text
    assert "梯度" in text


def test_a_thousand_parameters_over_a_long_run_stay_small():
    infos = tuple(parameter(f"net.layers.{i}.weight", norms=100, runs=10) for i in range(1000))
    assert len(dumps(report(parameters=infos))) < 5 * 2**20


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "this is not a gradaudit report: it is empty"),
        (b" \n", "this is not a gradaudit report: it is empty"),
        (b"[" * 100_000, "this is not a gradaudit report: it is nested too deeply"),
        (b"[]", "this is JSON, but not a gradaudit report: it has no schema_version"),
        (b'{"version": 1}', "this is JSON, but not a gradaudit report: it has no schema_version"),
        (
            b'{"schema_version": 1, "tool": {"name": "ruff"}}',
            "this is a report of 'ruff', not of gradaudit",
        ),
        (
            edited("run.iterations", "many"),
            "this gradaudit report is damaged at run.iterations: expected `int`, got `str`",
        ),
        (
            edited("parameters.1.timeline.0.state", "odd"),
            "this gradaudit report is damaged at parameters[1].timeline[0].state: "
            "invalid enum value 'odd'",
        ),
        (
            edited("parameters.0.grad_norm", [[1]]),
            "this gradaudit report is damaged at parameters[0].grad_norm[0]: "
            "expected `array` of length 2, got 1",
        ),
        (
            b'{"schema_version": 1}',
            "this gradaudit report is damaged at its top level: "
            "object missing required field `tool`",
        ),
    ],
)
def test_what_is_no_report_is_refused_in_one_sentence(data, message):
    assert refusal(data) == message


@pytest.mark.parametrize(
    "data", [b"\x80\x04\x95", b"import torch", b'{"a": "\xff"}', b'{"a": 1e999}']
)
def test_what_is_no_json_is_called_so(data):
    message = refusal(data)
    assert message.startswith("this is not JSON, or only a part of it: ")
    assert "\n" not in message


def test_a_report_cut_short_at_any_place_is_refused():
    whole = dumps(rich_report())
    for end in range(0, len(whole) - 2, 97):
        refusal(whole[:end])


def test_a_newer_report_asks_for_a_newer_gradaudit():
    message = refusal(edited("schema_version", 2))
    assert "schema_version 2" in message
    assert "newer gradaudit" in message


def test_what_is_rarely_said_of_a_run_is_left_out():
    runs = (
        TimelineRun(0, 1, "fresh", 1),
        TimelineRun(2, 3, "zero", 1, life="fresh", backwards=(0,)),
    )
    original = dataclasses.replace(
        report(parameters=(dataclasses.replace(parameter("w"), timeline=runs),)),
        backwards=(at(44, "loss.backward()"),),
    )
    told = json.loads(dumps(original))["parameters"][0]["timeline"]
    assert told[0] == {"first": 0, "last": 1, "state": "fresh", "contributions": 1}
    assert told[1].keys() - told[0].keys() == {"life", "backwards"}
    assert loads(dumps(original)) == original


@pytest.mark.parametrize("index", [-1, 1])
def test_a_backward_that_is_not_there_is_damage(index):
    runs = (TimelineRun(0, 1, "fresh", 1, backwards=(index,)),)
    damaged = dataclasses.replace(
        report(parameters=(dataclasses.replace(parameter("w"), timeline=runs),)),
        backwards=(at(44, "loss.backward()"),),
    )
    assert "parameters[0].timeline" in refusal(dumps(damaged))
