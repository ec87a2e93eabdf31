"""What is new, gone or changed between two reports of, one would think, the same training.

The same finding is told by its fingerprint.  Where that has changed with the text of the line, it
is still the same one if the rule and the parameters are.  Of gradients their lives are compared:
their values are sampled in other iterations each time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from gradaudit.model.findings import Finding
from gradaudit.model.report import ParameterInfo, Report, State
from gradaudit.model.timelines import life

#: The states a gradient went through, in the order in which they first came.
Course = tuple[State, ...]

_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Changed:
    """One finding as it was and as it is."""

    before: Finding
    after: Finding


@dataclass(frozen=True, slots=True)
class ChangedLife:
    """Parameters whose gradients took one course before and another one after."""

    before: Course
    after: Course
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """All that sets two reports apart."""

    new: tuple[Finding, ...]
    gone: tuple[Finding, ...]
    changed: tuple[Changed, ...]
    lives: tuple[ChangedLife, ...]
    appeared: tuple[str, ...]
    vanished: tuple[str, ...]

    @property
    def fails(self) -> bool:
        """Whether something is new that is more than worth knowing."""
        return any(finding.severity != "note" for finding in self.new)


def difference(before: Report, after: Report) -> Difference:
    """Compare two reports."""
    same, gone, new = _paired(before.findings, after.findings, lambda item: item.fingerprint)
    moved, gone, new = _paired(gone, new, lambda item: (item.rule, item.parameters))
    old = {info.name: info for info in before.parameters}
    current = {info.name: info for info in after.parameters}
    return Difference(
        new=new,
        gone=gone,
        changed=(*filter(_differs, same), *moved),
        lives=_lives(old, current),
        appeared=tuple(name for name in current if name not in old),
        vanished=tuple(name for name in old if name not in current),
    )


def _paired(
    before: Iterable[Finding], after: Iterable[Finding], key: Callable[[Finding], _Key]
) -> tuple[tuple[Changed, ...], tuple[Finding, ...], tuple[Finding, ...]]:
    """Pair what has the same key, each finding once; return what is left of both as well."""
    waiting: dict[_Key, list[Finding]] = {}
    for finding in before:
        waiting.setdefault(key(finding), []).append(finding)
    pairs, new = [], []
    for finding in after:
        twins = waiting.get(key(finding))
        if twins:
            pairs.append(Changed(twins.pop(0), finding))
        else:
            new.append(finding)
    gone = [finding for twins in waiting.values() for finding in twins]
    return tuple(pairs), tuple(gone), tuple(new)


def _differs(pair: Changed) -> bool:
    """Whether it says something else; that its line has moved is nothing."""
    before, after = pair.before, pair.after
    return (before.severity, before.message, before.consequences) != (
        after.severity,
        after.message,
        after.consequences,
    )


def _lives(
    before: dict[str, ParameterInfo], after: dict[str, ParameterInfo]
) -> tuple[ChangedLife, ...]:
    courses: dict[tuple[Course, Course], list[str]] = {}
    for name, info in after.items():
        if name in before:
            pair = _course(before[name]), _course(info)
            if pair[0] != pair[1]:
                courses.setdefault(pair, []).append(name)
    return tuple(ChangedLife(*pair, tuple(names)) for pair, names in courses.items())


def _course(info: ParameterInfo) -> Course:
    return tuple(dict.fromkeys(map(life, info.timeline)))
