"""Lets every rule speak once; puts verdicts into the words of the report."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from gradaudit.model.findings import SEVERITIES, Consequence, Finding, Related
from gradaudit.model.report import Gap
from gradaudit.model.sites import Location
from gradaudit.rules.case import Case
from gradaudit.rules.catalogue import ASKED, ASKED_OF_RANKS
from gradaudit.rules.follows import consequences
from gradaudit.rules.ranks import Ranks
from gradaudit.rules.rule import Discord, RankRule, RecordingRule, Verdict


def judge(case: Case) -> tuple[Finding, ...]:
    """All findings, the gravest first.

    Rules are asked from cause to consequence: what a verdict explains is claimed, and rules that
    look for the cause of the same thing pass over it.  One that fails leaves a gap in the case.
    """
    return in_order(_finding(case, rule, verdict) for rule, verdict in _verdicts(case))


def proven(case: Case) -> tuple[Finding, ...]:
    """The findings of a run under way that hold whatever is yet to come.

    It is judged as if it had ended here: what a rule of the end would explain is left to it.
    """
    return in_order(
        _finding(case, rule, verdict) for rule, verdict in _verdicts(case) if _stands(rule, verdict)
    )


def _verdicts(case: Case) -> Iterator[tuple[RecordingRule, Verdict]]:
    if case.recording.broken:
        return  # the gap says so
    for rule in ASKED:
        for verdict in _asked(case, rule):
            case.claimed |= verdict.leaves | verdict.explains
            yield rule, verdict


def _asked(case: Case, rule: RecordingRule) -> Iterator[Verdict]:
    try:
        yield from rule.check(case)
    except Exception as error:  # told as a gap: what the other rules find is not lost with it
        problem = f"{type(error).__name__}: {error}"
        case.gaps.append(Gap(f"{rule.code} {rule.name}", f"the rule failed: {problem}"))


def _stands(rule: RecordingRule, verdict: Verdict) -> bool:
    """Whether it was seen often enough; a verdict milder than its rule is a doubt, and waits."""
    often = 0 if verdict.span is None else verdict.span.count
    usual = verdict.severity in (None, rule.severity)
    return usual and rule.proven_after is not None and often >= rule.proven_after


def judge_ranks(ranks: Ranks) -> tuple[Finding, ...]:
    """What only several reports together show, and what single ones say that is no part of it."""
    found, explained = [], set()
    for rule in ASKED_OF_RANKS:
        for discord in rule.check(ranks):
            ranks.claimed |= set(discord.parameters)
            found.append(_finding_across(rule, discord))
            explained |= {finding.fingerprint for finding in discord.explains}
    alone = (item for item in ranks.findings if item.fingerprint not in explained)
    return in_order((*found, *alone))


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The gravest first, and then by rule."""
    return tuple(
        sorted(findings, key=lambda finding: (SEVERITIES.index(finding.severity), finding.rule))
    )


def _finding_across(rule: RankRule, discord: Discord) -> Finding:
    return Finding(
        rule=rule.code,
        name=rule.name,
        severity=discord.severity or rule.severity,
        message=discord.message,
        help=discord.help,
        parameters=tuple(sorted(discord.parameters)),
        location=discord.location,
        related=discord.chain,
        iterations=discord.span,
        consequences=tuple(
            Consequence(finding.rule, finding.message, finding.parameters)
            for finding in discord.explains
        ),
        fingerprint=fingerprint(rule.code, discord.location, discord.parameters),
        ranks=discord.ranks,
    )


def _finding(case: Case, rule: RecordingRule, verdict: Verdict) -> Finding:
    names = (*verdict.subjects, *sorted(map(case.name, verdict.leaves)))
    return Finding(
        rule=rule.code,
        name=rule.name,
        severity=verdict.severity or rule.severity,
        message=verdict.message,
        help=verdict.help,
        parameters=names,
        location=verdict.location,
        related=tuple(_related(verdict)),
        iterations=verdict.span,
        consequences=tuple(consequences(case, rule, verdict)),
        fingerprint=fingerprint(rule.code, verdict.location, names),
    )


def _related(verdict: Verdict) -> Iterator[Related]:
    for link in verdict.chain:
        if link.site is not None:
            yield Related(link.message, link.site.location)


def fingerprint(code: str, location: Location | None, parameters: tuple[str, ...]) -> str:
    """What stays the same when lines are inserted above: the rule, the text, the parameters."""
    where = (
        ("", "", "")
        if location is None
        else (location.path, location.function or "", (location.source or "").strip())
    )
    text = "\0".join((code, *where, *sorted(parameters)))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
