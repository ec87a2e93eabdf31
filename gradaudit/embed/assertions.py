"""What a test may ask of an audit, and the sentences that say why not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, get_args

from gradaudit.model.report import Report
from gradaudit.render.names import describe_parameters
from gradaudit.render.words import count, path_line_column
from gradaudit.taming.threshold import FailOn, reaching

if TYPE_CHECKING:
    import torch

    from gradaudit.embed.block import Block
    from gradaudit.ledger.recording import Recording


def complaint(report: Report, fail_on: FailOn) -> str | None:
    """Tell the findings that are as severe as this, or more; None if there are none."""
    if fail_on not in get_args(FailOn):
        known = ", ".join(map(repr, get_args(FailOn)))
        raise ValueError(f"fail_on is one of {known}, not {fail_on!r}")
    found = reaching(report, fail_on)
    if not found:
        return None
    from gradaudit.render.plain import plain_findings

    first, *others = found
    place = f" at {path_line_column(first.location)}" if first.location else ""
    more = f", and {len(others):,} more" if others else ""
    return f"{first.rule} {first.name}{place}{more}\n\n{plain_findings(report, found)}"


def assert_clean(report: Report, fail_on: FailOn) -> None:
    """Raise with the findings, if there are any of that severity."""
    __tracebackhide__ = True
    told = complaint(report, fail_on)
    if told is not None:
        raise AssertionError(told)


def assert_gradients_arrive(report: Report, block: Block, module: torch.nn.Module) -> None:
    """Raise unless all that is trainable in a module received a gradient in the block."""
    __tracebackhide__ = True
    numbers = {
        name: block.number_of(parameter)
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }
    kind = type(module).__name__
    if not numbers:
        raise ValueError(f"No parameter of {kind} requires a gradient.")
    if block.recording is not None:  # else `gradaudit run` answers for it
        missing = {
            name: number
            for name, number in numbers.items()
            if not _arrived(block.recording, number)
        }
        if missing:
            headline = (
                f"{len(missing):,} of {count(len(numbers), 'trainable parameter')} of {kind} "
                f"received no gradient: {describe_parameters(missing, list(numbers))}"
            )
            reasons = _reasons(report, block.recording, missing)
            raise AssertionError("\n\n".join((headline, *reasons)))


def _arrived(recording: Recording, number: int | None) -> bool:
    if number is None:
        return False
    life = recording.ledger.life(number)
    return bool(life.deposited or life.assigned)


def _reasons(
    report: Report, recording: Recording, missing: Mapping[str, int | None]
) -> Iterator[str]:
    """Let the rules speak of parameters that nothing in the block may have asked for."""
    from gradaudit.render.plain import plain_findings
    from gradaudit.rules.case import Case
    from gradaudit.rules.judge import judge

    if not report.run.backward_calls:
        yield f"No backward call was seen in the block at {report.run.target}."
        return
    seen = {name: number for name, number in missing.items() if number is not None}
    case = Case(
        recording,
        complete=report.run.outcome == "completed",
        whole=False,
        expected=frozenset(seen.values()),
    )
    called = {name: case.name(number) for name, number in seen.items()}
    names = set(called.values())
    findings = [each for each in judge(case) if not names.isdisjoint(each.parameters)]
    if findings:
        yield plain_findings(report, findings)
    told = {name for finding in findings for name in finding.parameters}
    unseen = [name for name in missing if name not in seen]
    if unseen:
        yield f"Nothing that the block did was seen to use {', '.join(unseen)}."
    unexplained = [name for name in seen if called[name] not in told]
    if unexplained:
        yield f"Why none reached {', '.join(unexplained)} was not seen."
