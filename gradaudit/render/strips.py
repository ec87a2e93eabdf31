"""The lives of all parameters in a few lines: one strip for each group that lived alike.

A character stands for as many iterations as have to share it, and shows the gravest of their
states.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from rich.cells import cell_len
from rich.text import Text

from gradaudit.model.report import Report, State, TimelineRun
from gradaudit.model.timelines import GRAVITY
from gradaudit.render.names import describe_parameters
from gradaudit.render.states import LOOKS
from gradaudit.render.terminal import Paper, hanging
from gradaudit.render.words import count

#: As many groups as a reader takes in; the gravest are shown.
MOST_GROUPS = 8

_WIDEST_NAME = 34
_STATES: tuple[State, ...] = tuple(LOOKS)

#: What tells apart parameters that bore the same name one after the other.
_NUMBER = re.compile(r" \(\d+\)$")

#: Behind which iteration a state ends.
_Course = tuple[tuple[int, State], ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """Parameters whose gradients went through the same states in the same iterations.

    ``times`` is how many such groups of the same names there were, one after the other: made anew,
    their gradients went through the same states at different times.
    """

    course: _Course
    names: tuple[str, ...]
    times: int = 1

    @property
    def gravest(self) -> int:
        return min((GRAVITY[state] for _, state in self.course), default=len(_STATES))


def strip_lines(report: Report, paper: Paper) -> Iterator[Text]:
    """Draw the strips, and say what their characters mean."""
    groups = sorted(_joined(_groups(report)), key=lambda group: group.gravest)
    iterations = max((group.course[-1][0] for group in groups), default=0)
    if not iterations:
        return
    shown, hidden = groups[:MOST_GROUPS], groups[MOST_GROUPS:]
    known = [paper.clean(parameter.name) for parameter in report.parameters]
    names = [_name(group, known, paper) for group in shown]
    column = max(map(cell_len, names))
    strips = [_strip(group.course, iterations, paper.width - column - 4) for group in shown]
    yield Text.assemble(("gradients", "bold"), f" over {count(iterations, 'iteration')}:")
    for name, strip in zip(names, strips, strict=True):
        row = Text(f"  {name}{' ' * (column - cell_len(name))}  ")
        for state, cells in groupby(strip):
            row.append(LOOKS[state].mark * sum(1 for _ in cells), LOOKS[state].colour)
        yield row
    if hidden:
        rest = sum(len(group.names) * group.times for group in hidden)
        yield Text(f"  and {count(rest, 'parameter')} in {count(len(hidden), 'more group')}")
    yield from _legend(strips, paper)


def _groups(report: Report) -> list[_Group]:
    """Group by what the timelines say, whatever the number of contributions."""
    courses: dict[_Course, list[str]] = {}
    for info in report.parameters:
        if info.timeline:
            courses.setdefault(_course(info.timeline), []).append(info.name)
    return [_Group(course, tuple(names)) for course, names in courses.items()]


def _joined(groups: Sequence[_Group]) -> list[_Group]:
    """Of groups of the same names only the first, which stands for all of them."""
    namesakes: dict[tuple[tuple[str, ...], tuple[State, ...]], list[_Group]] = {}
    for group in groups:
        names = tuple(_NUMBER.sub("", name) for name in group.names)
        states = tuple(state for _, state in group.course if state != "none")
        namesakes.setdefault((names, states), []).append(group)
    return [replace(same[0], times=len(same)) for same in namesakes.values()]


def _course(timeline: Sequence[TimelineRun]) -> _Course:
    course: list[tuple[int, State]] = []
    for run in timeline:
        if course and course[-1][1] == run.state:
            course.pop()
        course.append((run.last + 1, run.state))
    return tuple(course)


def _name(group: _Group, known: Sequence[str], paper: Paper) -> str:
    told = describe_parameters(map(paper.clean, group.names), known)
    times = "" if group.times == 1 else f", {group.times:,} times"
    return paper.head(told, min(_WIDEST_NAME, paper.width // 2) - len(times)) + times


def _strip(course: _Course, iterations: int, room: int) -> list[State]:
    width = min(iterations, room)
    cells = [len(_STATES) - 1] * width
    start = 0
    for end, state in course:
        gravity = GRAVITY[state]
        for cell in range(start * width // iterations, -(-end * width // iterations)):
            cells[cell] = min(cells[cell], gravity)
        start = end
    return [_STATES[gravity] for gravity in cells]


def _legend(strips: list[list[State]], paper: Paper) -> Iterator[Text]:
    used = sorted({state for strip in strips for state in strip}, key=GRAVITY.__getitem__)
    for state in used:
        look = LOOKS[state]
        lead = Text.assemble("  ", (look.mark, look.colour), " ")
        yield from hanging(lead, f"{state}: {look.meaning}", paper)
