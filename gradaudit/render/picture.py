"""The lives of all parameters as the data of a picture: small, whatever the run was.

Parameters that lived alike share one timeline, which is written as lengths and kinds of runs.
Should the timelines still be too many and too long for a page, neighbouring runs are told as one,
in the gravest of their states, until they fit; then the page says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gradaudit.model.report import ParameterInfo, Report, TimelineRun
from gradaudit.model.sites import Location
from gradaudit.model.timelines import GRAVITY, coarsened
from gradaudit.render.excerpt import source_line
from gradaudit.render.states import LOOKS
from gradaudit.render.unicode import visible
from gradaudit.render.words import loudest_first, path_line_column

#: Runs of all timelines together; each costs some eight bytes.
MOST_RUNS = 200_000
#: Characters of a line that is quoted.
_WIDEST = 80
#: Samples of one parameter's norm: more than a plot has pixels for.
MOST_SAMPLES = 200

#: What is told of a run: its state, the state of its life if that is another, contributions,
#: whether it is mixed, and from which backwards.
_Kind = tuple[int, int | None, int, bool, tuple[int, ...]]

_UNSEEN: _Kind = (len(LOOKS), None, 0, False, ())  # iterations that no run covers


def picture(report: Report) -> dict[str, Any]:
    """Build what the script in the page draws."""
    shared: dict[tuple[TimelineRun, ...], int] = {}
    sampled: dict[tuple[int, ...], int] = {}
    parameters = [_parameter(info, shared, sampled) for info in report.parameters]
    kinds: dict[_Kind, int] = {}
    room = MOST_RUNS // max(len(shared), 1)
    coarse = any(len(timeline) > room for timeline in shared)
    number = {info.name: index for index, info in enumerate(report.parameters)}
    return {
        "iterations": _length(report),
        "states": [[state, look.meaning] for state, look in LOOKS.items()],
        "timelines": [_flat(coarsened(timeline, max(room, 2)), kinds) for timeline in shared],
        "kinds": list(kinds),
        "backwards": [_place(location) for location in report.backwards],
        "coarse": coarse,
        "sampled": list(sampled),
        "parameters": parameters,
        "findings": [
            {
                "title": f"{finding.severity} {finding.rule} {finding.name}",
                "of": [number[name] for name in finding.parameters if name in number],
            }
            for finding in loudest_first(report)
        ],
    }


def _length(report: Report) -> int:
    ends = [info.timeline[-1].last + 1 for info in report.parameters if info.timeline]
    return max([report.run.iterations, *ends])


def _parameter(
    info: ParameterInfo,
    shared: dict[tuple[TimelineRun, ...], int],
    sampled: dict[tuple[int, ...], int],
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": visible(info.name),
        "kind": f"{info.dtype} {list(info.shape)}",
        "timeline": shared.setdefault(info.timeline, len(shared)),
    }
    if info.aliases:
        told["aliases"] = [*map(visible, info.aliases)]
    if info.optimizers:
        told["optimizers"] = [*map(visible, info.optimizers)]
    if info.grad_norm:
        norm = _thinned(info.grad_norm)
        iterations = tuple(iteration for iteration, _ in norm)
        told["sampled"] = sampled.setdefault(iterations, len(sampled))
        told["norm"] = [_rounded(value) for _, value in norm]
    return told


def _flat(timeline: Sequence[TimelineRun], kinds: dict[_Kind, int]) -> list[int]:
    """Write length and kind of each run in a row."""
    flat: list[int] = []
    at = 0
    for run in timeline:
        if run.first > at:
            flat += (run.first - at, kinds.setdefault(_UNSEEN, len(kinds)))
        flat += (run.last + 1 - run.first, kinds.setdefault(_kind(run), len(kinds)))
        at = run.last + 1
    return flat


def _kind(run: TimelineRun) -> _Kind:
    life = None if run.life is None else GRAVITY[run.life]
    return GRAVITY[run.state], life, run.contributions, run.mixed, run.backwards


def _place(location: Location) -> str:
    line = visible(source_line(location).strip())
    quoted = line if len(line) <= _WIDEST else line[: _WIDEST - 1] + "…"
    return f"{visible(path_line_column(location))} {quoted}".rstrip()


def _thinned(samples: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Keep of neighbouring samples the largest, or one that is not finite."""
    step = math.ceil(len(samples) / MOST_SAMPLES)
    return [
        max(samples[at : at + step], key=lambda sample: (not math.isfinite(sample[1]), sample[1]))
        for at in range(0, len(samples), step)
    ]


def _rounded(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None
