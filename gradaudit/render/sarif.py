"""SARIF 2.1.0, which code hosts and editors read.

A finding is a result, its chain of events a code flow, its fingerprint a partial fingerprint by
which the same finding is known again after the lines have moved.  What was not observed is a
notification, so that a file without results does not pass for health.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from gradaudit.model.findings import Finding
from gradaudit.model.report import Report, Run
from gradaudit.model.sites import Location
from gradaudit.render.checkout import Checkout, uri
from gradaudit.render.excerpt import source_line
from gradaudit.render.names import describe_parameters
from gradaudit.render.unicode import encodable
from gradaudit.render.words import ended_with, loudest_first, seen_in

if TYPE_CHECKING:
    from gradaudit.rules.rule import AnyRule

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_ROOT = "SRCROOT"

_Object = dict[str, Any]


def sarif(report: Report, checkout: Checkout, rules: Sequence[AnyRule]) -> str:
    """Write a report as one SARIF log."""
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [_Log(report, checkout, rules).run()]}
    return json.dumps(encodable(log), indent=1, ensure_ascii=False) + "\n"


class _Log:
    def __init__(self, report: Report, checkout: Checkout, rules: Sequence[AnyRule]) -> None:
        self._report = report
        self._checkout = checkout
        self._known = [parameter.name for parameter in report.parameters]
        self._rules = _descriptors(report, rules)
        self._index = {rule["id"]: index for index, rule in enumerate(self._rules)}

    def run(self) -> _Object:
        tool = self._report.tool
        root = self._checkout.root or self._report.run.cwd
        bases = {_ROOT: {"uri": _directory(root)}} if root else {}
        return {
            "tool": {
                "driver": {"name": tool.name, "version": tool.version, "rules": self._rules},
            },
            "originalUriBaseIds": bases,
            "columnKind": "unicodeCodePoints",
            "invocations": [self._invocation(self._report.run)],
            "results": [self._result(finding) for finding in loudest_first(self._report)],
        }

    def _invocation(self, run: Run) -> _Object:
        gaps = [
            {"level": "note", "message": {"text": f"not observed: {gap.what} ({gap.why})"}}
            for gap in self._report.coverage.gaps
        ]
        failure = ended_with(run)
        ended = [{"level": "error", "message": {"text": failure}}] if failure else []
        return {
            "executionSuccessful": run.outcome in ("completed", "stopped"),
            "exitCode": run.exit_code,
            "arguments": list(run.argv),
            "toolExecutionNotifications": [*ended, *gaps],
        }

    def _result(self, finding: Finding) -> _Object:
        result: _Object = {
            "ruleId": finding.rule,
            "ruleIndex": self._index[finding.rule],
            "level": finding.severity,
            "message": {"text": self._text(finding)},
            "locations": [self._place(finding)],
            "properties": {"parameters": list(finding.parameters)},
        }
        if finding.fingerprint:
            result["partialFingerprints"] = {"gradaudit/v1": finding.fingerprint}
        if finding.related:
            flow = [
                {"location": self._location(event.location, event.message)}
                for event in finding.related
            ]
            result["codeFlows"] = [{"threadFlows": [{"locations": flow}]}]
        return result

    def _text(self, finding: Finding) -> str:
        told = describe_parameters(finding.parameters, self._known)
        seen = seen_in(finding, self._report)
        facts = ", ".join(filter(None, (told, seen)))
        follows = [f"{item.rule}: {item.message}" for item in finding.consequences]
        return "\n".join(filter(None, (finding.message, facts, *follows, finding.help.strip())))

    def _place(self, finding: Finding) -> _Object:
        """Point at the line to change.

        Code hosts refuse a file in which one result has no place: then it is the script's first
        line.
        """
        place = finding.location or Location(self._report.run.target, 1)
        return self._location(place)

    def _location(self, location: Location, message: str = "") -> _Object:
        path = self._checkout.path(location.path, self._report)
        artifact = {"uri": _file(path)}
        if not PurePosixPath(path).is_absolute():
            artifact["uriBaseId"] = _ROOT
        told: _Object = {
            "physicalLocation": {"artifactLocation": artifact, "region": _region(location)}
        }
        if location.function:
            told["logicalLocations"] = [{"fullyQualifiedName": location.function}]
        if message:
            told["message"] = {"text": message}
        return told


def _region(location: Location) -> _Object:
    region: _Object = {"startLine": max(location.line, 1)}
    if location.column is not None:
        ends = location.end_line or location.line, location.end_column or location.column
        region["startColumn"] = location.column
        if ends > (location.line, location.column):
            region["endLine"], region["endColumn"] = ends
    if source_line(location):
        region["snippet"] = {"text": source_line(location)}
    return region


def _descriptors(report: Report, rules: Sequence[AnyRule]) -> list[_Object]:
    """Describe every rule, and those of a newer gradaudit as well as their findings do."""
    known = {rule.code for rule in rules}
    strangers = {finding.rule: finding for finding in report.findings if finding.rule not in known}
    return [*map(_descriptor, rules), *_undocumented(strangers.values())]


def _descriptor(rule: AnyRule) -> _Object:
    documentation = rule.documentation.strip()
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.summary},
        "help": {"text": documentation, "markdown": documentation},
        "defaultConfiguration": {"level": rule.severity},
        "properties": {"tags": [rule.family], "precision": "high"},
    }


def _undocumented(findings: Iterable[Finding]) -> Iterator[_Object]:
    for finding in findings:
        yield {
            "id": finding.rule,
            "name": finding.name,
            "shortDescription": {"text": finding.name},
            "defaultConfiguration": {"level": finding.severity},
        }


def _file(path: str) -> str:
    return f"file://{uri(path)}" if path.startswith("/") else uri(path)


def _directory(path: str) -> str:
    return f"file://{uri(path.rstrip('/'))}/"
