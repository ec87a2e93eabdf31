"""Recording -> Report."""

from __future__ import annotations

import platform
from collections.abc import Iterable

from gradaudit import __version__
from gradaudit.ledger.recording import Recording
from gradaudit.ledger.values import NORMS
from gradaudit.model.findings import Finding
from gradaudit.model.report import (
    Coverage,
    Environment,
    Gap,
    OptimizerInfo,
    ParameterInfo,
    Report,
    Run,
    Stride,
    Summary,
    Tool,
)
from gradaudit.model.run import RunFacts
from gradaudit.model.sites import Location
from gradaudit.rules.case import Case, entered_stack
from gradaudit.rules.judge import judge
from gradaudit.rules.timelines import Timelines

#: How many sampled norms a report holds at most, and of each parameter at least.
_ALL_NORMS, _FEWEST_NORMS = 40_000, 10


def assemble(recording: Recording | None, facts: RunFacts) -> Report:
    """Judge a recording, if there is one, and write the report."""
    if recording is None:
        return _report(facts, None, _coverage(None, facts, ()), (), (), ())
    case = Case(
        recording,
        complete=facts.outcome == "completed",
        cut_short=facts.outcome in {"stopped", "interrupted"},
        whole=facts.whole,
    )
    findings = judge(case)
    timelines = Timelines(case.ledger, len(recording.leaves))
    parameters, optimizers = _parameters(case, timelines), _optimizers(case)
    coverage = _coverage(recording, facts, case.gaps)
    return _report(
        facts, recording, coverage, findings, parameters, optimizers, timelines.backwards
    )


def _report(
    facts: RunFacts,
    recording: Recording | None,
    coverage: Coverage,
    findings: tuple[Finding, ...],
    parameters: tuple[ParameterInfo, ...],
    optimizers: tuple[OptimizerInfo, ...],
    backwards: tuple[Location, ...] = (),
) -> Report:
    return Report(
        schema_version=1,
        tool=Tool("gradaudit", __version__),
        environment=Environment(
            platform.python_version(),
            None if recording is None else recording.torch_version,
            f"{platform.system()}-{platform.release()}-{platform.machine()}",
            () if recording is None else recording.devices,
        ),
        run=_run(facts, recording),
        coverage=coverage,
        loops=() if recording is None else recording.loops,
        optimizers=optimizers,
        parameters=parameters,
        findings=findings,
        summary=Summary(
            *(
                sum(finding.severity == severity for finding in findings)
                for severity in ("error", "warning", "note")
            )
        ),
        backwards=backwards,
    )


def _run(facts: RunFacts, recording: Recording | None) -> Run:
    ledger = None if recording is None else recording.ledger
    told = (facts.rank, facts.world_size)
    rank, world_size = told if recording is None else recording.rank or told
    return Run(
        target=facts.target,
        argv=facts.argv,
        cwd=facts.cwd,
        outcome=facts.outcome,
        exit_code=facts.exit_code,
        exception=facts.exception,
        iterations=0 if ledger is None else ledger.iterations,
        backward_calls=0 if ledger is None else ledger.backward_calls,
        optimizer_steps=0 if ledger is None else ledger.optimizer_steps,
        zero_grad_calls=0 if ledger is None else ledger.zero_grad_calls,
        wall_seconds=facts.wall_seconds,
        audit_seconds=0.0 if recording is None else recording.audit_seconds,
        stopped_by=facts.stopped_by,
        rank=rank,
        world_size=world_size,
    )


def _coverage(recording: Recording | None, facts: RunFacts, unjudged: Iterable[Gap]) -> Coverage:
    if recording is None:
        return Coverage(0, (Gap("everything", facts.unrecorded),))
    rest = Gap("the rest of the program", f"only the block at {facts.target} was audited")
    return Coverage(
        recording.probed_iterations,
        (*recording.gaps, *unjudged, *(() if facts.whole else (rest,))),
        tuple(Stride(*run) for run in recording.ledger.samples.iterations),
    )


def _parameters(case: Case, timelines: Timelines) -> tuple[ParameterInfo, ...]:
    names = {number: facts.name for number, facts in case.recording.optimizers.items()}
    many = max(len(case.recording.leaves), 1)
    kept = max(_FEWEST_NORMS, _ALL_NORMS // many)
    owners: dict[int, list[str]] = {}
    for number, record in case.ledger.optimizers.items():
        for leaf in record.members:
            owners.setdefault(leaf, []).append(names[number])
    return tuple(
        ParameterInfo(
            name=facts.name,
            aliases=facts.aliases,
            shape=facts.shape,
            dtype=facts.dtype,
            numel=facts.numel,
            requires_grad=facts.requires_grad,
            is_leaf=True,
            optimizers=tuple(owners.get(leaf, ())),
            timeline=timelines.of(leaf),
            grad_norm=_thinned(
                tuple(case.ledger.samples[leaf].norms), NORMS if facts.replicated else kept
            ),
            replicated=facts.replicated,
            value_norm=facts.value_norm,
            bypass=_bypass(case, leaf) if facts.replicated else None,
        )
        for leaf, facts in case.recording.leaves.items()
    )


def _bypass(case: Case, leaf: int) -> Location | None:
    """Where it was used without a call of its wrapper: the line beside the backward, if any."""
    stack = entered_stack(case.evidence(leaf)) if case.evidence(leaf).bypassed else ()
    backward = case.life(leaf).deposited.main_site()
    places = [site.location for site in stack]
    beside = (
        place
        for place in places
        if backward is not None
        and (place.path, place.function) == (backward.location.path, backward.location.function)
    )
    return next(beside, places[0] if places else None)


def _thinned(norms: tuple[tuple[int, float], ...], kept: int) -> tuple[tuple[int, float], ...]:
    """Evenly, to no more than so many."""
    return norms[:: -(-len(norms) // kept)] if norms else ()


def _optimizers(case: Case) -> tuple[OptimizerInfo, ...]:
    return tuple(
        OptimizerInfo(
            name=case.recording.optimizers[number].name,
            type=case.recording.optimizers[number].type,
            location=None if record.site is None else record.site.location,
            parameters=tuple(
                case.name(leaf) for leaf in sorted(record.members) if leaf in case.recording.leaves
            ),
            steps=record.steps,
        )
        for number, record in case.ledger.optimizers.items()
    )
