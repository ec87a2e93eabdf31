"""Keeps the names as they are found, and writes the recording when the run is over."""

from __future__ import annotations

import sys
import weakref
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

import torch

from gradaudit.ledger.recording import LeafFacts, OptimizerFacts, Recording
from gradaudit.model import events as ev
from gradaudit.model.report import Gap, Loop, LoopEvent
from gradaudit.model.sites import Location, Site
from gradaudit.observe.leaves import Leaf, strong
from gradaudit.observe.names import Found, Name, scopes, search
from gradaudit.observe.optimizers import Known, Optimizers
from gradaudit.observe.replicas import Replicas
from gradaudit.observe.sites import SiteBook, constructor, function_of
from gradaudit.observe.watch import Watch

if TYPE_CHECKING:
    from gradaudit.observe.probe import Probe

#: Attributes that look as if they froze or thawed something, and that nothing reads.
_MISSPELT = ("requires_grad", "require_grad", "required_grad", "requires_gradient", "requiresGrad")

#: Gaps that leave the cause of a missing gradient unseen.
BLINDING = frozenset(
    {
        "the dataflow",
        "custom autograd functions",
        "fused modules",
        "tensors made from others",
        "a backward",
    }
)

#: How many searches for the same things may be in vain.
_VAIN = 50


@dataclass(slots=True)
class _Called:
    """The name of a leaf, and what its module is like; ``early`` for want of a better one.

    ``evaluating`` is whether the module was in eval mode in training, or else when it was found.
    """

    name: Name
    early: bool = False
    evaluating: bool = False
    escaped: Site | None = None


class Book:
    """Names of leaves and optimizers."""

    def __init__(self, watch: Watch, optimizers: Optimizers, sites: SiteBook) -> None:
        self._watch = watch
        self._optimizers = optimizers
        self._sites = sites
        self._called: dict[int, _Called] = {}
        self._optimizer_names: dict[int, str] = {}
        self._misspelt_told: set[int] = set()
        self._elsewhere: set[int] = set()
        #: leaves with a name whose modules were not asked in training whether they evaluate
        self._unasked: set[int] = set()
        self._looked = False
        self._wanting = self._vain = 0

    # -- looking -----------------------------------------------------------------------------------

    def look(self, frame: FrameType, *, last: bool = False, early: bool = False) -> None:
        """Search for names, unless everything told of has one.

        ``early`` ones are kept for leaves that no later search finds.
        """
        if not (last or early) and self._looked and not self._nameless():
            return
        self._looked = True
        frames = self._sites.user_frames(frame)
        self._take(search(scopes(frames, self._sites.sources)), last=last, early=early)

    def look_in_training(self, frame: FrameType) -> None:
        """A backward or a step is about to run: search, and ask what has a name for its mode."""
        self.look(frame)
        leaves = self._watch.leaves
        for number in self._unasked:
            module = leaves[number].module if number in leaves else None
            owner = None if module is None else module()
            if owner is not None:
                self._called[number].evaluating = not owner.training
        self._unasked.clear()

    def frame_returns(self, frame: FrameType) -> None:
        """A function of the user's is about to lose its variables."""
        if self._nameless():
            frames = self._sites.user_frames(frame)
            self._take(search(scopes(frames, self._sites.sources)))

    def _nameless(self) -> bool:
        """Whether something has no name that a search might find; some have none at all."""
        wanting = len(self._watch.leaves.nameless) + sum(
            known.number not in self._optimizer_names for known in self._optimizers.all
        )
        if wanting != self._wanting:
            self._wanting, self._vain = wanting, 0
        self._vain += 1
        return wanting > 0 and self._vain <= _VAIN

    def _take(self, found: Found, *, last: bool = False, early: bool = False) -> None:
        modules = dict(found.modules.values())
        for _, module in found.modules.values():
            self._module(module, last=last)  # which may know of leaves that nobody has met
        for leaf, tensor in self._watch.leaves.alive():
            name = found.tensors.get(id(tensor))
            if name is not None:
                self._name(leaf, name, modules, early=early)
        for known in self._optimizers.all:
            optimizer = known.reference()
            if not early and optimizer is not None and id(optimizer) in found.optimizers:
                self._optimizer_names.setdefault(known.number, found.optimizers[id(optimizer)])

    def _name(
        self, leaf: Leaf, name: Name, modules: dict[str, torch.nn.Module], *, early: bool
    ) -> None:
        known = self._called.get(leaf.number)
        if known is None or known.early:
            known = self._called[leaf.number] = _Called(name, early)
            self._unasked.add(leaf.number)
            known.evaluating = name.module is not None and not name.module.training
        if not early:
            self._watch.leaves.nameless.discard(leaf.number)
        if name.module is not None:
            if leaf.owner is None:
                self._belongs(leaf, name.text, name.module, modules)
            name.module = None  # nothing of the user's is kept alive
        if name.escaped is not None and known.escaped is None:
            known.escaped = self._escape(*name.escaped)

    def _belongs(
        self, leaf: Leaf, name: str, owner: torch.nn.Module, modules: dict[str, torch.nn.Module]
    ) -> None:
        """A module took in a leaf before anybody looked: the classes around it tell where."""
        path, _, attribute = name.rpartition(".")
        leaf.owner, leaf.attribute = type(owner).__name__, attribute
        leaf.module = weakref.ref(owner)
        made: list[Site] = []
        while path:
            around = type(modules.get(path))
            site = self._declaration(around, attribute)
            if site is not None:
                made.append(site)
            elif not made and self._sites.user.is_foreign(around):
                leaf.by_library = True
            path, _, attribute = path.rpartition(".")
        if leaf.created is None and made:
            leaf.created, *under = made
            leaf.made_under = tuple(under)
            if leaf.told:
                self._watch.tell(ev.Declared(leaf.number, leaf.created, leaf.made_under))

    def _declaration(self, owner: type, attribute: str) -> Site | None:
        """Where ``self.<attribute> = …`` stands in the constructor of a class of the user's."""
        code = constructor(owner)
        if code is None or not self._sites.user.owns(code):
            return None
        source = self._sites.sources[code.co_filename]
        text = source.assignment_to_self(attribute, source.function_at(code.co_firstlineno))
        return None if text is None else self._sites.at(code.co_filename, text, function_of(code))

    def _escape(self, owner: type, attribute: str) -> Site | None:
        """Where ``self.<attribute> = …`` stands in the class of a module that did not register."""
        module = sys.modules.get(owner.__module__)
        path = getattr(module, "__file__", None)
        if path is None:
            return None
        text = self._sites.sources[path].assignment_to_self(attribute)
        return None if text is None else self._sites.at(path, text, owner.__qualname__)

    def _module(self, module: torch.nn.Module, *, last: bool) -> None:
        parameters = [
            parameter
            for parameter in module.__dict__.get("_parameters", {}).values()
            if parameter is not None
        ]
        for parameter in parameters:
            leaf = self._watch.leaves.find(parameter)
            if last:
                if leaf is None:
                    leaf = self._watch.leaves.learn(parameter)
                self._watch.leaves.tell(leaf)
            if leaf is not None:
                self._misspelt(parameter.__dict__, [leaf])
        if "requires_grad" in module.__dict__ or "require_grad" in module.__dict__:
            below = [self._watch.leaves.find(parameter) for parameter in module.parameters()]
            self._misspelt(module.__dict__, [leaf for leaf in below if leaf is not None])

    def _misspelt(self, attributes: dict[str, object], leaves: list[Leaf]) -> None:
        """An attribute that looks like ``requires_grad`` and is not was set on their owner."""
        fresh = [leaf for leaf in leaves if leaf.number not in self._misspelt_told]
        if not fresh:
            return
        for attribute in _MISSPELT:
            value = attributes.get(attribute)
            if isinstance(value, bool):
                self._misspelt_told.update(leaf.number for leaf in fresh)
                text, site = self._assignment_of(attribute)
                members = self._watch.leaves.members(
                    self._watch.leaves.tell(leaf) for leaf in fresh
                )
                self._watch.tell(ev.FreezeMisspelt(site, members, text or attribute, value))

    def _assignment_of(self, attribute: str) -> tuple[str | None, Site | None]:
        for path in self._sites.user_files():
            for text, place in self._sites.sources[path].attribute_assignment(
                frozenset({attribute})
            ):
                return text, self._sites.at(path, place)
        return None, None

    def owned_elsewhere(self, tensors: Iterable[torch.Tensor]) -> None:
        """Optimizers of which nothing was seen have these tensors; they are dear to find."""
        owned = frozenset[int]().union(*(known.members for known in self._optimizers.all))
        if all(leaf.number in owned for leaf in self._watch.leaves.all() if leaf.told):
            return
        for tensor in tensors:
            leaf = self._watch.leaves.find(tensor)
            if leaf is not None:
                self._elsewhere.add(leaf.number)

    # -- writing -----------------------------------------------------------------------------------

    def recording(
        self,
        *,
        probe: Probe,
        gaps: tuple[Gap, ...],
        audit_seconds: float,
        broken: bool,
        replicas: Replicas,
    ) -> Recording:
        """Everything that was seen, in words."""
        ledger = self._watch.ledger
        return Recording(
            ledger=ledger,
            leaves=self._leaf_facts(replicas.weights(), probe.horizon),
            optimizers={
                known.number: self._optimizer_facts(known) for known in self._optimizers.all
            },
            loops=self._loops(probe),
            torch_version=str(torch.__version__),
            devices=_devices(),
            probed_iterations=probe.iterations,
            gaps=gaps,
            audit_seconds=audit_seconds,
            broken=broken,
            rank=replicas.rank,
            blind=next((gap.why for gap in gaps if gap.what in BLINDING), None),
        )

    def _optimizer_facts(self, known: Known) -> OptimizerFacts:
        name = self._optimizer_names.get(known.number, known.type)
        stepped = self._watch.ledger.optimizers.get(known.number)
        unreached = None if stepped is None or stepped.steps else self._step_in_text(name)
        return OptimizerFacts(name, known.type, unreached)

    def _step_in_text(self, name: str) -> Site | None:
        """Where the script says ``<optimizer>.step()``, or ``scaler.step(<optimizer>)``.

        Or ``<optimizer>.step``, and forgot to call it.
        """
        for path in self._sites.user_files():
            for text in self._sites.sources[path].steps_of(name.rpartition(".")[2]):
                return self._sites.at(path, text)
        return None

    def _leaf_facts(
        self, weights: dict[int, dict[int, float]], horizon: int
    ) -> dict[int, LeafFacts]:
        taken: Counter[str] = Counter()
        facts = {}
        for leaf in self._watch.leaves.all():
            if not leaf.told:
                continue
            called = self._called.get(leaf.number)
            tensor = strong(leaf.reference)
            text = called.name.text if called is not None else self._made_up(leaf)
            path = text
            taken[text] += 1
            if taken[text] > 1:
                text = f"{text} ({taken[text]})"
            facts[leaf.number] = LeafFacts(
                name=text,
                aliases=tuple(called.name.aliases) if called is not None else (),
                shape=leaf.shape,
                dtype=leaf.dtype,
                numel=leaf.numel,
                requires_grad=leaf.requires_grad if tensor is None else tensor.requires_grad,
                named=called is not None,
                alive=tensor is not None,
                evaluating=called.evaluating if called is not None else False,
                escaped=called.escaped if called is not None else None,
                path=path,
                derived=leaf.derived,
                differentiated=leaf.differentiated,
                by_library=leaf.by_library,
                unseen=leaf.number >= horizon,
                elsewhere=leaf.number in self._elsewhere,
                replicated=leaf.replicated,
                value_norm=tuple(weights.get(leaf.number, {}).items()),
            )
        return facts

    def _made_up(self, leaf: Leaf) -> str:
        """A name for what no variable leads to."""
        for read in self._watch.ledger.evidence[leaf.number].none_reads:
            return read.subject
        origin = None if leaf.copy_of is None else self._called.get(leaf.copy_of)
        if origin is not None:
            return f"copy of {origin.name.text}"
        if leaf.owner is not None:
            return f"{leaf.owner}.{leaf.attribute}"
        if leaf.created is not None:
            assigned = self._sites.assigned_name(leaf.created)
            if assigned is not None:
                return assigned
        return "tensor"

    def _loops(self, probe: Probe) -> tuple[Loop, ...]:
        by_loop: dict[Location, list[tuple[str, Site, int]]] = {}
        for (kind, site), count in self._watch.ledger.counts.items():
            if site.loop is not None:
                by_loop.setdefault(site.loop, []).append((kind, site, count))
        return tuple(
            Loop(
                location,
                self._passes(probe, location, [count for _, _, count in events]),
                tuple(LoopEvent(kind, site.location, count) for kind, site, count in events),
            )
            for location, events in by_loop.items()
        )

    def _passes(self, probe: Probe, loop: Location, counts: list[int]) -> int:
        """Passes as counted; once the tracer is gone, as often as what happened once a pass."""
        for (path, line), passes in probe.tracer.passes.items():
            if line == loop.line and self._sites.shown(path) == loop.path:
                return max(passes, min(counts)) if probe.over else passes
        return min(counts)


def _devices() -> tuple[str, ...]:
    """The devices of this machine; an accelerator is asked only if the script woke it up."""
    names = ["cpu"]
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        names += [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return tuple(names)
