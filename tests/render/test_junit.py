"""JUnit XML, as a server that shows tests reads it."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from gradaudit.render.checkout import Checkout
from gradaudit.render.junit import junit

from .samples import AWKWARD, EVERY
from .snapshots import assert_as_before


def read(name: str) -> ET.Element:
    suites = ET.fromstring(junit(EVERY[name], Checkout()))  # noqa: S314 - ours
    (suite,) = suites
    assert [suites.get(count) for count in ("tests", "failures")] == [
        suite.get(count) for count in ("tests", "failures")
    ]
    return suite


@pytest.mark.parametrize("name", [*AWKWARD, "many", "no_location", "no_torch"])
def test_it_is_as_it_was(name):
    assert_as_before(junit(EVERY[name], Checkout()), f"{name}.xml")


@pytest.mark.parametrize("name", EVERY)
def test_every_error_and_warning_is_a_test_that_failed(name):
    suite, findings = read(name), EVERY[name].findings
    failed = [finding.severity in ("error", "warning") for finding in findings]
    assert [case.find("failure") is not None for case in suite] == sorted(failed)[::-1] or [False]
    assert int(suite.get("tests", "")) == len(suite)
    assert int(suite.get("failures", "")) == sum(failed)


def test_the_place_is_told_from_the_root_of_the_checkout():
    suites = ET.fromstring(junit(EVERY["many"], Checkout("/home/ada")))  # noqa: S314 - ours
    case = next(suites.iter("testcase"))
    assert (case.get("file"), case.get("line")) == ("project/train.py", "42")
    assert case.get("name") == "GA102 graph-cut: 18 parameters under net.encoder"
    assert "--> train.py:42:13 in Trainer.training_step" in case.findtext("failure", "")
