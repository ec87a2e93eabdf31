"""Builders of reports for the tests of the reporters: say what matters, the rest is filled in."""

from __future__ import annotations

from collections import Counter

from gradaudit.model.findings import Consequence, Finding, Related, Severity, Span
from gradaudit.model.report import (
    Coverage,
    Environment,
    ExceptionInfo,
    Gap,
    Loop,
    LoopEvent,
    OptimizerInfo,
    Outcome,
    ParameterInfo,
    Report,
    Run,
    Summary,
    TimelineRun,
    Tool,
)
from gradaudit.model.sites import Location

ITERATIONS = 120


def at(line: int, source: str | None = None, mark: str | None = None, **fields: object) -> Location:
    """A location in train.py; `mark` is the part of the source that the columns point at."""
    column = source.index(mark) + 1 if source and mark else None
    end_column = column + len(mark) if column and mark else None
    place = {"path": "train.py", "column": column, "end_column": end_column, **fields}
    return Location(line=line, source=source, **place)  # type: ignore[arg-type]


def parameter(name: str, *, state: str = "fresh", norms: int = 0, runs: int = 1) -> ParameterInfo:
    length = ITERATIONS // runs
    timeline = tuple(
        TimelineRun(index * length, (index + 1) * length - 1, state, 1)  # type: ignore[arg-type]
        for index in range(runs)
    )
    norm = tuple((index, 0.5 + index / 7) for index in range(norms))
    return ParameterInfo(name, (), (64, 32), "float32", 2048, True, True, ("opt",), timeline, norm)


def finding(
    message: str = "a detach() takes the output of net.encoder out of the graph",
    *,
    rule: str = "GA102",
    name: str = "graph-cut",
    severity: Severity = "error",
    help: str = "Remove the detach(), or move it behind the loss.",  # noqa: A002
    parameters: tuple[str, ...] = ("net.encoder.weight",),
    location: Location | None = None,
    related: tuple[Related, ...] = (),
    iterations: Span | None = None,
    consequences: tuple[Consequence, ...] = (),
) -> Finding:
    return Finding(
        rule, name, severity, message, help, parameters, location, related, iterations,
        consequences, "0123456789abcdef",
    )  # fmt: skip


def report(
    *findings: Finding,
    parameters: tuple[str, ...] | tuple[ParameterInfo, ...] = ("net.encoder.weight", "net.head"),
    gaps: tuple[Gap, ...] = (),
    outcome: Outcome = "completed",
    exception: ExceptionInfo | None = None,
    torch: str | None = "2.13.0+cpu",
    iterations: int = ITERATIONS,
    backward_calls: int | None = None,
    argv: tuple[str, ...] = ("--lr", "3"),
    rank: int = 0,
    world_size: int = 1,
) -> Report:
    infos = tuple(p if isinstance(p, ParameterInfo) else parameter(p) for p in parameters)
    calls = iterations if backward_calls is None else backward_calls
    count = Counter(finding.severity for finding in findings)
    return Report(
        schema_version=1,
        tool=Tool("gradaudit", "0.1.0"),
        environment=Environment("3.11.4", torch, "Linux-6.1-x86_64", ("cpu",)),
        run=Run(
            "train.py", argv, "/home/ada/project", outcome, 0 if exception is None else 1,
            exception, iterations, calls, calls, calls, 3.14159, 0.4142, rank, world_size,
        ),
        coverage=Coverage(min(iterations, 3), gaps),
        loops=(
            Loop(
                at(38, "    for x, y in loader:"),
                iterations,
                (LoopEvent("backward", at(44, "        loss.backward()"), calls),),
            ),
        ),
        optimizers=(
            OptimizerInfo(
                "opt", "Adam", at(30, "    opt = Adam(net.parameters())"),
                tuple(info.name for info in infos), calls,
            ),
        ),
        parameters=infos,
        findings=findings,
        summary=Summary(count["error"], count["warning"], count["note"]),
    )  # fmt: skip
