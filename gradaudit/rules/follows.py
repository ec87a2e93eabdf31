"""What follows from a cause that was found: told below it, never beside it."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.model.findings import Consequence
from gradaudit.rules.case import Case
from gradaudit.rules.rule import ARRIVAL, RecordingRule, Verdict
from gradaudit.rules.words import does, several


def consequences(case: Case, rule: RecordingRule, verdict: Verdict) -> Iterator[Consequence]:
    """What other rules would have said of the leaves that a verdict explains."""
    leaves = sorted(verdict.leaves or verdict.explains)
    leaves = [leaf for leaf in leaves if leaf in case.recording.leaves]
    if verdict.severity == "note":
        return
    if rule.family == ARRIVAL or rule.code == "GA203":
        yield from _stepped_over(case, leaves)
    elif rule.code == "GA402":
        yield from _in_no_optimizer(case, leaves)


def _stepped_over(case: Case, leaves: list[int]) -> Iterator[Consequence]:
    hungry = [leaf for leaf in leaves if case.optimizers_of(leaf) and case.life(leaf).missing]
    if hungry:
        steps = max(case.life(leaf).missing.count for leaf in hungry)
        count = len(hungry)
        yield Consequence(
            "GA404",
            f"{several(steps, 'step')} found nothing to apply to {does(count, 'it', 'them')}",
            tuple(map(case.name, hungry)),
        )


def _in_no_optimizer(case: Case, leaves: list[int]) -> Iterator[Consequence]:
    outside = [
        leaf for leaf in leaves if case.life(leaf).deposited and not case.optimizers_of(leaf)
    ]
    if outside:
        count = len(outside)
        yield Consequence(
            "GA401",
            f"{several(count, 'parameter')} {does(count, 'receives', 'receive')} gradients that no "
            "optimizer applies",
            tuple(sorted({case.facts(leaf).path for leaf in outside})),
        )
