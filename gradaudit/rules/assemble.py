"""Recording -> Report."""

from __future__ import annotations

import platform

from gradaudit import __version__
from gradaudit.ledger.recording import Recording
from gradaudit.model.findings import Finding
from gradaudit.model.report import (
    Coverage,
    Environment,
    Gap,
    OptimizerInfo,
    ParameterInfo,
    Report,
    Run,
    Summary,
    Tool,
)
from gradaudit.model.run import RunFacts
from gradaudit.rules.case import Case
from gradaudit.rules.judge import judge


def assemble(recording: Recording | None, facts: RunFacts) -> Report:
    """Judge a recording and write the report; None means that torch was never imported."""
    if recording is None:
        return _report(facts, None, (), (), ())
    case = Case(recording, complete=facts.outcome == "completed")
    findings = judge(case)
    return _report(facts, recording, findings, _parameters(case), _optimizers(case))


def _report(
    facts: RunFacts,
    recording: Recording | None,
    findings: tuple[Finding, ...],
    parameters: tuple[ParameterInfo, ...],
    optimizers: tuple[OptimizerInfo, ...],
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
        coverage=_coverage(recording),
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
        rank=rank,
        world_size=world_size,
    )


def _coverage(recording: Recording | None) -> Coverage:
    if recording is None:
        return Coverage(0, (Gap("everything", "the script never imported torch"),))
    return Coverage(recording.probed_iterations, recording.gaps)


def _parameters(case: Case) -> tuple[ParameterInfo, ...]:
    names = {number: facts.name for number, facts in case.recording.optimizers.items()}
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
            timeline=tuple(case.life(leaf).timeline),
            grad_norm=tuple(case.ledger.values(leaf).norms),
            replicated=facts.replicated,
            value_norm=facts.value_norm,
        )
        for leaf, facts in case.recording.leaves.items()
    )


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
