"""Findings that are known: a file to be kept beside the code, so that only new ones count."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradaudit.model.findings import Finding
from gradaudit.model.report import Report

_FORMAT = 1


class BaselineError(ValueError):
    """A file that is no baseline; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The fingerprints of the known findings, as often as there were such; `path` is for telling.

    With ``everything`` whatever is found is known: the file is about to be written anew.
    ``places`` are the rules and files of the known ones.
    """

    path: str
    known: tuple[str, ...] = ()
    everything: bool = False
    places: frozenset[tuple[str, str]] = frozenset()

    def may_know(self, finding: Finding) -> bool:
        """Whether a finding that is not complete yet may turn out to be a known one."""
        path = "" if finding.location is None else finding.location.path
        return self.everything or (finding.rule, path) in self.places


def read_baseline(path: str) -> Baseline:
    """Read a baseline; a JSON report will do as well."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BaselineError(f"Cannot read the baseline {path!r}: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise BaselineError(f"{path!r} is no baseline: it is not JSON.") from None
    findings = document.get("findings") if isinstance(document, dict) else None
    if not isinstance(findings, list) or not all(map(_is_known, findings)):
        raise BaselineError(
            f"{path!r} is no baseline: make one with 'gradaudit run --write-baseline {path}'."
        )
    return Baseline(
        path,
        tuple(finding["fingerprint"] for finding in findings),
        places=frozenset(map(_place, findings)),
    )


def dump_baseline(report: Report) -> str:
    """Write down what a report found, what was known before included."""
    known = [item.finding for item in report.suppressed if item.by == "baseline"]
    findings = sorted((*report.findings, *known), key=_order)
    document = {"gradaudit_baseline": _FORMAT, "findings": [*map(_entry, findings)]}
    return json.dumps(document, indent=1) + "\n"


def split(baseline: Baseline, findings: tuple[Finding, ...]) -> tuple[list[Finding], list[Finding]]:
    """Tell known findings from new ones, each as often as it is known."""
    left = Counter(baseline.known)
    known: list[Finding] = []
    new: list[Finding] = []
    for finding in findings:
        if baseline.everything or left[finding.fingerprint] > 0:
            left[finding.fingerprint] -= 1
            known.append(finding)
        else:
            new.append(finding)
    return known, new


def _is_known(finding: object) -> bool:
    return isinstance(finding, dict) and isinstance(finding.get("fingerprint"), str)


def _place(finding: dict[str, Any]) -> tuple[str, str]:
    """Read the rule and the file of a known finding, as a baseline or a report has them."""
    location = finding.get("location")
    path = location.get("path") if isinstance(location, dict) else finding.get("path")
    return str(finding.get("rule")), str(path or "")


def _entry(finding: Finding) -> dict[str, Any]:
    """Write what tells the finding again, and what tells a reader which one that is."""
    path = "" if finding.location is None else finding.location.path
    return {
        "fingerprint": finding.fingerprint,
        "rule": finding.rule,
        "path": path,
        "message": finding.message,
    }


def _order(finding: Finding) -> tuple[str, str, str]:
    return finding.rule, finding.fingerprint, finding.message
