"""The questions rules ask of a recording."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from gradaudit.ledger.evidence import Evidence
from gradaudit.ledger.ledger import Ledger
from gradaudit.ledger.life import Life
from gradaudit.ledger.recording import LeafFacts, Recording
from gradaudit.ledger.records import OptimizerRecord
from gradaudit.model.events import LossLeft, Severed
from gradaudit.model.findings import Severity, Span
from gradaudit.model.report import Gap
from gradaudit.model.sites import Site
from gradaudit.rules.families import Families

#: An assignment to what a script means to backpropagate: ``value_loss = …``, ``loss["kl"] = …``.
_LOSS = re.compile(r"\s*[\w.]*(loss|nll|penalty)[^=]*=(?!=)", re.IGNORECASE)

#: How many steps in a row must find nothing for a gradient to be gone for good.
FOR_GOOD = 5

#: How many iterations at the end of a run count as its end.
_LATELY = 2

#: How many iterations of a run that was ended from outside tell what it never does.
_ENOUGH = 3


def created_stack(evidence: Evidence) -> tuple[Site, ...]:
    """The calls of the user's in which a leaf was made, the innermost first."""
    return () if evidence.created is None else (evidence.created, *evidence.made_under)


def entered_stack(evidence: Evidence) -> tuple[Site, ...]:
    """The calls of the user's in which a leaf was first used, the innermost first."""
    return () if evidence.entered is None else (evidence.entered, *evidence.entered_under)


class Case:
    """One recording under judgement; ``claimed`` are the leaves a root cause was found for.

    ``gaps`` are the rules that failed; ``families`` are the leaves that are alike.

    ``complete`` is whether what was recorded ran to its own end, ``cut_short`` whether a limit or a
    signal ended it (an exception of its own does neither); ``whole`` whether it is all of a
    program, so that nothing came before it or after.  Gradients of ``expected`` leaves are wanted,
    whatever the script does with them.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        complete: bool = True,
        cut_short: bool = False,
        whole: bool = True,
        expected: frozenset[int] = frozenset(),
    ) -> None:
        self.recording = recording
        self.complete = complete
        self.cut_short = cut_short
        self.whole = whole
        self.expected = expected
        self.claimed: set[int] = set()
        self.gaps: list[Gap] = []
        self.families = Families(recording.leaves, self.life)

    @property
    def ledger(self) -> Ledger:
        """The lives."""
        return self.recording.ledger

    # -- leaves --------------------------------------------------------------------------------

    def life(self, leaf: int) -> Life:
        """The life of a leaf."""
        return self.ledger.cohorts[leaf]

    def evidence(self, leaf: int) -> Evidence:
        """The facts about a leaf."""
        return self.ledger.evidence[self._witnesses.get(leaf, leaf)]

    @cached_property
    def _witnesses(self) -> dict[int, int]:
        """Leaves whose use went unseen, each with one made at the same place that fared alike.

        Such are the models of later folds, made when the probe had been opened often enough.
        """
        starving = [leaf for leaf in self.recording.leaves if not self.life(leaf).deposited]
        known: dict[object, int] = {}
        for leaf in starving:
            if not self.facts(leaf).unseen:
                known.setdefault(self._making(leaf), leaf)
        return {
            leaf: known[making]
            for leaf in starving
            if self.facts(leaf).unseen and (making := self._making(leaf)) in known
        }

    def _making(self, leaf: int) -> object:
        stack = created_stack(self.ledger.evidence[leaf])
        return (stack, self.facts(leaf).shape) if stack else leaf

    def unseen(self, leaf: int) -> bool:
        """Whether nobody saw what a leaf was used for, nor one like it."""
        return self.facts(leaf).unseen and leaf not in self._witnesses

    def facts(self, leaf: int) -> LeafFacts:
        """The words about a leaf."""
        return self.recording.leaves[leaf]

    def name(self, leaf: int) -> str:
        """What the user calls a leaf."""
        return self.facts(leaf).name

    def grouped(
        self, leaves: Iterable[int], key: Callable[[int], Site | None]
    ) -> Iterator[tuple[Site | None, frozenset[int]]]:
        """Leaves by the line that a verdict about them would point at, in order of appearance."""
        groups: dict[object, tuple[Site | None, set[int]]] = {}
        for leaf in sorted(leaves):
            site = key(leaf)
            place = None if site is None else (site.location.path, site.location.line)
            groups.setdefault(place, (site, set()))[1].add(leaf)
        for site, members in groups.values():
            yield site, frozenset(members)

    def gathered(
        self, leaves: Iterable[int], stack: Callable[[Evidence], tuple[Site, ...]]
    ) -> Iterator[tuple[Site | None, frozenset[int]]]:
        """Leaves by the call under which all leaves share their fate.

        ``stack`` are the places of the user's at which something happened to a leaf, the innermost
        first: a module whose parameters are all unused was made by one call, or called by one.
        """
        fated = set(leaves)
        under: dict[Site, set[int]] = {}
        for leaf in self.ledger.evidence:
            if leaf in self.recording.leaves:
                for site in stack(self.evidence(leaf)):
                    under.setdefault(site, set()).add(leaf)
        chosen: dict[int, Site] = {}
        for leaf in fated:
            places = stack(self.evidence(leaf))
            best = places[0] if places else None
            size = 0
            for site in places:
                if under[site] <= fated and len(under[site]) > size:
                    best, size = site, len(under[site])
            if best is not None:
                chosen[leaf] = best
        return self.grouped(fated, chosen.get)

    def everything(self) -> Span:
        """The whole run, for what was so from its first iteration to its last."""
        count = max(self.ledger.iterations, 1)
        return Span(0, count - 1, count)

    # -- optimizers ----------------------------------------------------------------------------

    @cached_property
    def _optimizers_of(self) -> dict[int, list[int]]:
        owners: dict[int, list[int]] = {}
        for number, record in self.ledger.optimizers.items():
            for leaf in record.members:
                owners.setdefault(leaf, []).append(number)
        return owners

    def optimizers_of(self, leaf: int) -> list[OptimizerRecord]:
        """The optimizers that have a leaf."""
        return [self.ledger.optimizers[number] for number in self._optimizers_of.get(leaf, [])]

    def owned(self, leaf: int) -> bool:
        """Whether an optimizer has a leaf, though nothing was seen of it but that."""
        return leaf in self._optimizers_of or self.facts(leaf).elsewhere

    def optimizer_name(self, record: OptimizerRecord) -> str:
        """What the user calls an optimizer."""
        for number, known in self.ledger.optimizers.items():
            if known is record:
                return self.recording.optimizers[number].name
        return "the optimizer"

    def step_site(self, leaf: int) -> Site | None:
        """Where the optimizer of a leaf is stepped."""
        for record in self.optimizers_of(leaf):
            if record.step_sites:
                return max(record.step_sites, key=record.step_sites.__getitem__)
        return None

    def precedes_step(self, backward: Site, leaf: int) -> bool:
        """Whether a backward is the one after which the optimizer of a leaf is stepped."""
        return any(
            record.after and max(record.after, key=record.after.__getitem__) is backward
            for record in self.optimizers_of(leaf)
        )

    def perhaps_updated_unseen(self, leaf: int) -> bool:
        """Whether the script may well update a leaf by hand, where that could not be seen.

        It does so with tensors that are no parameters, and with what it clears by hand.
        """
        return self.recording.blind is not None and (
            self.evidence(leaf).kind == "tensor" or None in self.life(leaf).cleared.sites
        )

    def made_for_a_while(self, leaf: int) -> bool:
        """Whether a leaf was a tensor that the script has dropped long before its end.

        The perturbation of an attack, say, which is made anew every time: what became of it is
        seen only while the probe is on.
        """
        last = self.life(leaf).deposited.last
        return (
            self.evidence(leaf).kind == "tensor"
            and not self.facts(leaf).alive
            and not self.owned(leaf)
            and last < self.ledger.iterations - _LATELY
        )

    def only_differentiated(self, leaf: int) -> bool:
        """Whether a leaf is an input by which the script differentiates, and nothing else.

        It has to require grad for that; what backwards leave in its ``.grad`` is of no use.
        """
        return self.evidence(leaf).kind == "tensor" and self.facts(leaf).differentiated

    def wanted_by_reader(self, leaf: int) -> bool:
        """Whether the script reads its gradient for its own sake.

        Not in one go with those that are trained, as whoever logs the norm of all gradients does.
        """
        return not self.ledger.monitors.issuperset(self.life(leaf).was_read.sites)

    # -- copies and replacements ---------------------------------------------------------------

    @cached_property
    def _copies(self) -> dict[int, list[int]]:
        copies: dict[int, list[int]] = {}
        for leaf, evidence in self.ledger.evidence.items():
            if evidence.copy_of is not None and leaf in self.recording.leaves:
                copies.setdefault(evidence.copy_of, []).append(leaf)
        return copies

    @cached_property
    def _namesakes(self) -> dict[str, list[int]]:
        named: dict[str, list[int]] = {}
        for leaf, facts in self.recording.leaves.items():
            if facts.named:
                named.setdefault(facts.path, []).append(leaf)
        return named

    @cached_property
    def _remade(self) -> dict[int, tuple[int, ...]]:
        """What the same lines have made again, whole times over, for what never had a gradient.

        Who holds a model in an attribute of a plain object gives it another without a word, and
        the old one may be gone before it had its name.
        """
        old: dict[object, list[int]] = {}
        new: dict[object, list[int]] = {}
        for leaf, facts in self.recording.leaves.items():
            evidence = self.evidence(leaf)
            if evidence.kind != "parameter" or evidence.created is None:
                continue
            made = _place(evidence.created), facts.path.rpartition(".")[2], facts.shape
            if self.owned(leaf) and self.never_fed(leaf):
                old.setdefault(made, []).append(leaf)
            elif not self.owned(leaf) and self.life(leaf).deposited:
                new.setdefault(made, []).append(leaf)
        return {
            leaf: tuple(heir for heir in new[made] if heir >= self._built(leaf))
            for made, leaves in old.items()
            if made in new and len(new[made]) % len(leaves) == 0
            for leaf in leaves
            if self.optimizers_of(leaf)
        }

    def _built(self, leaf: int) -> int:
        """The number from which on leaves were made when an optimizer of a leaf had been built."""
        return min(record.horizon for record in self.optimizers_of(leaf))

    def heirs(self, leaf: int) -> tuple[int, ...]:
        """What is trained in the place of a leaf, without being in any optimizer.

        What its module was given instead, lasting copies of it, what goes by its name, or what was
        made as it was; and the optimizer of the leaf goes on stepping it.
        """
        life = self.life(leaf)
        if life.assigned:
            return ()  # the copy computes its gradients for it
        replaced = self.evidence(leaf).replaced
        candidates = [] if replaced is None or replaced.heir is None else [replaced.heir]
        built = self._built(leaf)
        candidates += [copy for copy in self._copies.get(leaf, ()) if copy >= built]
        if self.facts(leaf).named:
            candidates += self._namesakes.get(self.facts(leaf).path, ())
        candidates += self._remade.get(leaf, ())
        origin = self.evidence(leaf).copy_of
        candidates += [] if origin is None else [origin]  # the optimizer was given a copy
        stepped = max(life.applied.last, life.missing.last)
        return tuple(
            heir
            for heir in dict.fromkeys(candidates)
            if heir != leaf
            and heir in self.recording.leaves
            and not self.owned(heir)
            and self.life(heir).deposited.count >= 2
            and life.deposited.last < self.life(heir).deposited.first <= stepped
        )

    def succeeded(self, leaf: int) -> bool:
        """Whether an optimizer applies what has taken its place: weights that were tied, say."""
        replaced = self.evidence(leaf).replaced
        heir = None if replaced is None else replaced.heir
        if heir is None or heir not in self.recording.leaves:
            return False
        return self.owned(heir) and bool(self.life(heir).applied)

    # -- starving ------------------------------------------------------------------------------

    @property
    def backwards_done(self) -> int:
        """Backwards that ran to their end."""
        return sum(record.count - record.failed for record in self.ledger.backwards.values())

    def never_fed(self, leaf: int) -> bool:
        """Whether no gradient ever arrived, by a backward or by hand, before the audit or in it."""
        life = self.life(leaf)
        return not life.deposited and not life.assigned and not self.evidence(leaf).fed_before

    def wanted(self, leaf: int) -> bool:
        """Whether the script plainly expects a gradient: it is stepped, or read by name."""
        evidence = self.evidence(leaf)
        if leaf in self.expected or any(record.steps for record in self.optimizers_of(leaf)):
            return True
        if any(not read.bulk or evidence.requires_grad for read in evidence.none_reads):
            return True
        failed = {record.site for record in self.ledger.backwards.values() if record.failed}
        if not evidence.missed_by.isdisjoint(failed):
            return True
        return bool(failed) and bool(self.optimizers_of(leaf)) and not self.backwards_done

    @property
    def fruitless(self) -> frozenset[Site]:
        """Backwards that do not reach leaves for which a cause was found."""
        return frozenset(site for leaf in self.claimed for site in self.evidence(leaf).missed_by)

    @property
    def unstepped(self) -> frozenset[Site]:
        """Backwards that fill leaves whose step, as was found, is missing."""
        return frozenset(
            site
            for leaf in self.claimed
            if self.owned(leaf) and not any(record.steps for record in self.optimizers_of(leaf))
            for site in self.life(leaf).deposited.sites
            if site is not None
        )

    def loss_left(self, leaf: int) -> LossLeft | None:
        """The loss that was made of a leaf, and that the script left.

        A scalar that it looked at and does not call a loss may as well be a number for the log.
        """
        left = self.evidence(leaf).loss_left
        return left if left is not None and (not left.shown or _called_a_loss(left)) else None

    def starving(self) -> list[int]:
        """Leaves that should have a gradient, never had one, and for which no cause was found."""
        return [
            leaf
            for leaf in self.ledger.evidence
            if leaf not in self.claimed
            and leaf in self.recording.leaves
            and self.facts(leaf).numel
            and self.never_fed(leaf)
            and self.wanted(leaf)
            and not self.families.idle_by_turns(leaf)
            and not self.succeeded(leaf)
        ]

    def cut_for_good(self, leaf: int) -> Severed | None:
        """What cuts off a leaf that had gradients before, until the end of the run."""
        life, last_cut = self.life(leaf), self.evidence(leaf).last_cut
        if last_cut is None or last_cut[1].guessed or not life.deposited:
            return None
        iteration, cut = last_cut
        if iteration <= life.deposited.last or life.hungry < FOR_GOOD:
            return None
        return None if self.families.comes_back(leaf) or self.made_for_a_while(leaf) else cut

    def severity_of_never(self, leaves: Iterable[int]) -> Severity | None:
        """What it counts that something never happens to leaves, if less than usual.

        A note, where a library's model has parts that this script has no use for, such as the
        pooler of a language model that is tuned to tag tokens: the rest of what the same line of
        the user's made is trained.  Or where a limit or a signal ended the run when just one of
        several alike had been used, as is the head of the first of several tasks: their turn may
        have been to come.  A warning, where such an end came at once.
        """
        trained = {
            self._made_at(leaf) for leaf in self.recording.leaves if self.life(leaf).deposited
        }
        unused = all(
            self.facts(leaf).by_library and self._made_at(leaf) in trained for leaf in leaves
        )
        if unused or (self.cut_short and all(map(self.families.behind_the_first, leaves))):
            return "note"
        return "warning" if self.cut_short and self.ledger.iterations < _ENOUGH else None

    def _made_at(self, leaf: int) -> tuple[str, int, int | None] | None:
        created = self.evidence(leaf).created
        return None if created is None else _place(created)


def _place(site: Site) -> tuple[str, int, int | None]:
    return site.location.path, site.location.line, site.location.column


def _called_a_loss(left: LossLeft) -> bool:
    source = left.site.location.source
    return source is not None and bool(_LOSS.match(source))
