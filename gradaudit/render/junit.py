"""JUnit XML: findings as tests that failed, where a server shows tests (GitLab, Jenkins, Azure).

A note is a test that passed and has something to say; a report without findings is one test that
passed, for servers take no tests at all for a failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from gradaudit.model.findings import Finding
from gradaudit.model.report import Report
from gradaudit.render.checkout import Checkout
from gradaudit.render.names import describe_parameters
from gradaudit.render.plain import plain_findings
from gradaudit.render.unicode import visible
from gradaudit.render.words import loudest_first, verdict

_FAILURES = ("error", "warning")


def junit(report: Report, checkout: Checkout) -> str:
    """Write a report as one suite of tests."""
    findings, took = loudest_first(report), f"{report.run.wall_seconds:.3f}"
    failures = sum(finding.severity in _FAILURES for finding in findings)
    counts = {"tests": str(len(findings) or 1), "failures": str(failures), "time": took}
    root = Element("testsuites", {"name": "gradaudit", **counts})
    suite = _below(root, "testsuite", {"name": report.run.target, **counts})
    for finding in findings:
        _add(suite, finding, report, checkout)
    if not findings:
        _below(
            suite, "testcase", {"classname": report.run.target, "name": verdict(report).headline}
        )
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, "unicode")}\n'


def _add(suite: Element, finding: Finding, report: Report, checkout: Checkout) -> None:
    # By its name a test is known again in another run: no line is in it, for lines shift.
    whom = describe_parameters(finding.parameters, [info.name for info in report.parameters])
    name = ": ".join(filter(None, (f"{finding.rule} {finding.name}", whom)))
    attributes, place = {"classname": report.run.target, "name": name}, finding.location
    if place is not None:
        attributes |= {"file": checkout.path(place.path, report), "line": str(place.line)}
    case = _below(suite, "testcase", attributes)
    if finding.severity in _FAILURES:
        told = {"type": finding.severity, "message": finding.message}
        outcome = _below(case, "failure", told)
    else:
        outcome = _below(case, "system-out", {})
    outcome.text = plain_findings(report, [finding])


def _below(parent: Element, tag: str, attributes: Mapping[str, str]) -> Element:
    return SubElement(parent, tag, {key: visible(value) for key, value in attributes.items()})
