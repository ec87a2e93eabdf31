"""The questions asked across processes, of their reports."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isclose

from gradaudit.model.findings import Finding
from gradaudit.model.report import ParameterInfo, RankInfo, Report, Run
from gradaudit.model.sites import Location

#: Norms by iteration.
Samples = Iterable[tuple[int, float]]


def infos(report: Report) -> tuple[RankInfo, ...]:
    """Name the processes that a report speaks of: one, unless it was merged."""
    return report.ranks or (info_of(report.run),)


def info_of(run: Run) -> RankInfo:
    """What a merged report keeps of the run of one process."""
    return RankInfo(
        run.rank,
        run.world_size,
        run.outcome,
        run.exit_code,
        run.exception,
        run.iterations,
        run.backward_calls,
        run.optimizer_steps,
        run.zero_grad_calls,
        run.wall_seconds,
        run.audit_seconds,
    )


@dataclass(frozen=True, slots=True)
class Copy:
    """One parameter as one report has it."""

    report: Report
    info: ParameterInfo

    @property
    def ranks(self) -> tuple[int, ...]:
        """The ranks in which it is so."""
        return self.info.ranks

    @property
    def starved(self) -> bool:
        """Whether it never had a gradient."""
        return all(run.state == "none" and not run.mixed for run in self.info.timeline)

    @property
    def fed(self) -> bool:
        """Whether it had a gradient in every iteration."""
        return all(
            run.state not in ("none", "frozen") and not run.mixed for run in self.info.timeline
        )


class Ranks:
    """The reports of one world's ranks, every parameter and finding in them marked with its ranks.

    ``findings`` are those of single ranks, each of them once.  ``comparable`` is whether the
    processes are ranks of one world at all.
    """

    def __init__(self, reports: Sequence[Report], findings: Sequence[Finding] = ()) -> None:
        self.reports = tuple(reports)
        self.findings = tuple(findings)
        #: names of parameters that a root cause was found for
        self.claimed: set[str] = set()
        processes = [info for report in reports for info in infos(report)]
        sizes = {info.world_size for info in processes}
        self.comparable = sizes != {1} and len(sizes) == 1
        self.processes = {info.rank: info for info in processes}
        #: the reports of one process each
        self.alone = {report.ranks[0].rank: report for report in reports if len(report.ranks) == 1}

    def replicated(self) -> Iterator[tuple[str, tuple[Copy, ...]]]:
        """Parameters that DistributedDataParallel keeps equal, with their copies."""
        copies: dict[str, list[Copy]] = {}
        if self.comparable:
            for report in self.reports:
                for info in report.parameters:
                    if info.replicated and info.timeline:
                        copies.setdefault(info.name, []).append(Copy(report, info))
        for name, found in copies.items():
            if len(found) > 1 and len({copy.info.shape for copy in found}) == 1:
                yield name, tuple(found)

    def said_only(self, ranks: Collection[int], parameters: Collection[str]) -> tuple[Finding, ...]:
        """What is said of some of the parameters, and of no others, in some of the ranks alone."""
        return tuple(
            finding
            for finding in self.findings
            if finding.parameters
            and set(finding.parameters) <= set(parameters)
            and set(finding.ranks) <= set(ranks)
        )

    def built(self, name: str) -> Location | None:
        """Where the optimizer of a parameter was built."""
        owners = (each for report in self.reports for each in report.optimizers)
        return next((owner.location for owner in owners if name in owner.parameters), None)

    def done_by_some(self, kinds: Collection[str]) -> tuple[Location, tuple[int, ...]] | None:
        """What is done to gradients on some of the ranks only: where, and on which."""
        ranks: dict[Location, list[int]] = {}
        for rank, report in self.alone.items():
            for loop in report.loops:
                for event in loop.events:
                    if event.kind in kinds:
                        ranks.setdefault(event.location, []).append(rank)
        partly = (
            (place, tuple(found)) for place, found in ranks.items() if len(found) < len(self.alone)
        )
        return next(partly, None)

    def sampled(
        self, copies: Sequence[Copy], samples: Callable[[ParameterInfo], Samples]
    ) -> dict[int, list[float]]:
        """What was sampled of all copies in the same iterations.

        Nothing, if ranks that lived to the end do not count iterations alike.
        """
        processes = [self.processes[rank] for copy in copies for rank in copy.ranks]
        whole = [info for info in processes if info.outcome in ("completed", "stopped")]
        if len({(info.iterations, info.optimizer_steps) for info in whole}) > 1:
            return {}
        known = [dict(samples(copy.info)) for copy in copies]
        common = set.intersection(*map(set, known))
        return {iteration: [one[iteration] for one in known] for iteration in sorted(common)}


def unequal(sampled: dict[int, list[float]], tolerance: float) -> list[int]:
    """The iterations in which copies differ by more than rounding."""
    return [
        iteration
        for iteration, norms in sampled.items()
        if not all(isclose(one, norms[0], rel_tol=tolerance) for one in norms)
    ]
