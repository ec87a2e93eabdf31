"""A recording made by hand: what the observers would have seen, and what the rules say to it."""

from __future__ import annotations

from functools import cache
from typing import Any

from gradaudit.ledger.ledger import Ledger
from gradaudit.ledger.recording import LeafFacts, OptimizerFacts, Recording
from gradaudit.model import events as ev
from gradaudit.model.findings import Finding
from gradaudit.model.sites import Location, Site
from gradaudit.rules.case import Case
from gradaudit.rules.judge import judge, proven


@cache
def at(text: str) -> Site:
    """The one site of a line, named by its text; every text has a line of its own."""
    line = 1 + int.from_bytes(text.encode()[-6:], "big")
    return Site(Location("train.py", line, line, 1, len(text) + 1, source=text))


class Story:
    """Leaves go by their names, optimizers too; what the rules say is asked at the end."""

    def __init__(self, *names: str) -> None:
        self.ledger = Ledger()
        self._numbers: dict[str, int] = {}
        self._facts: dict[int, LeafFacts] = {}
        self._owned: dict[str, frozenset[int]] = {}
        self._filled: set[int] = set()
        for name in names:
            self.born(name)

    def born(
        self,
        name: str,
        *,
        kind: ev.LeafKind = "parameter",
        requires_grad: bool = True,
        evaluating: bool = False,
        escaped: Site | None = None,
        alive: bool = True,
        named: bool = True,
        created: Site | None = None,
        differentiated: bool = False,
        unseen: bool = False,
    ) -> None:
        number = self._numbers[name] = len(self._numbers)
        self._facts[number] = LeafFacts(
            name,
            (),
            (2,),
            "float32",
            2,
            requires_grad,
            named,
            alive,
            evaluating,
            escaped,
            name,
            differentiated=differentiated,
            unseen=unseen,
        )
        self.ledger.feed(
            ev.LeafSeen(number, kind, requires_grad, created or at(f"{name} = make()"))
        )

    def of(self, *names: str) -> frozenset[int]:
        return frozenset(self._numbers[name] for name in names)

    def optimizer(self, name: str, *names: str, groups: tuple[tuple[str, ...], ...] = ()) -> None:
        self._owned[name] = self.of(*names)
        self.ledger.feed(
            ev.OptimizerSeen(
                len(self._owned) - 1,
                at(f"{name} = SGD()"),
                self.of(*names),
                tuple(self.of(*group) for group in groups) or (self.of(*names),),
            )
        )

    def backward(
        self,
        *names: str,
        line: str = "loss.backward()",
        failed: bool = False,
        grad_mode_off: Site | None = None,
        **more: Any,
    ) -> None:
        self._filled |= self.of(*names)
        self.ledger.feed(
            ev.Backward(at(line), "loss", self.of(*names), failed, grad_mode_off, **more)
        )

    def zero(self, *names: str, line: str = "optimizer.zero_grad()", by_hand: bool = False) -> None:
        targets = self.of(*names)
        held = frozenset(self._filled & targets)
        if not by_hand:
            self.ledger.feed(ev.ZeroGradCalled(at(line), targets))
        if held:
            self.ledger.feed(ev.Cleared(at(line), held, targets, by_hand, to_none=True))
        self._filled -= targets

    def evaluated(self, *names: str) -> None:
        self.ledger.feed(ev.Evaluated(self.of(*names)))

    def step(self, name: str = "optimizer") -> None:
        owned = self._owned[name]
        present = frozenset(owned & self._filled)
        self.ledger.feed(
            ev.Stepped(
                at(f"{name}.step()"), list(self._owned).index(name), present, owned - present
            )
        )

    def update(self, *names: str) -> None:
        self.ledger.feed(ev.Updated(at("w -= w.grad"), self.of(*names)))

    def clip(self, *names: str) -> None:
        self.ledger.feed(ev.Rescaled(at("clip_grad_norm_(w)"), self.of(*names), clipped=True))

    def read(self, *names: str) -> None:
        self.ledger.feed(ev.GradFound(at("print(w.grad)")))
        self.ledger.feed(ev.GradRead(at("print(w.grad)"), self.of(*names)))

    def read_none(self, name: str, reason: ev.ReadReason, *, bulk: bool = False) -> None:
        (number,) = self.of(name)
        self.ledger.feed(
            ev.NoneRead(at(f"print({name}.grad)"), number, name, reason, None, bulk=bulk)
        )

    def entered(self, *names: str, line: str = "out = net(x)") -> None:
        self.ledger.feed(ev.Entered(at(line), self.of(*names)))

    def severed(
        self,
        *names: str,
        kind: ev.CutKind = "detach",
        operation: str = "detach",
        switch: Site | None = None,
        line: str = "h.detach()",
        backward: str = "loss.backward()",
        scheduled: bool = False,
    ) -> None:
        self.ledger.feed(
            ev.Severed(
                at(line),
                operation,
                kind,
                self.of(*names),
                at(backward),
                switch,
                at("h = net(x)"),
                scheduled=scheduled,
            )
        )

    def sampled(self, zero: tuple[str, ...] = (), nonfinite: tuple[str, ...] = ()) -> None:
        """The gradients of all leaves, as the step of this iteration was given them."""
        self.ledger.feed(
            ev.Sampled(
                self.ledger.iteration,
                tuple(self._numbers.values()),
                tuple(0.0 if name in zero else 1.0 for name in self._numbers),
                self.of(*zero),
                self.of(*nonfinite),
            )
        )

    def spoilt(
        self,
        *names: str,
        line: str | None = "h.sqrt()",
        operation: str = "sqrt",
        finite: bool = True,
        held_by: str | None = None,
    ) -> None:
        site = None if line is None else at(line)
        by: ev.Spoiler = "backward" if held_by is None else "leaf"
        leaf = None if held_by is None else min(self.of(held_by))
        self.ledger.feed(
            ev.NonfiniteMade(
                site, operation, self.of(*names), at("loss.backward()"), finite, by, leaf
            )
        )

    def zeroed(self, *names: str, kind: ev.ZeroKind, line: str | None = "h.round()") -> None:
        site = None if line is None else at(line)
        self.ledger.feed(ev.ZeroMade(site, "round", self.of(*names), at("loss.backward()"), kind))

    def train(self, *names: str, passes: int = 4) -> None:
        """A healthy loop of ``optimizer`` in which the backward reaches ``names``."""
        for _ in range(passes):
            self.zero(*self._numbers)
            self.backward(*names)
            self.step()

    def recording(self) -> Recording:
        self.ledger.close()
        return self.under_way()

    def under_way(self) -> Recording:
        """What was seen until now; the story may go on."""
        return Recording(
            self.ledger,
            self._facts,
            {number: OptimizerFacts(name, "SGD") for number, name in enumerate(self._owned)},
            (),
            "2.13.0",
            ("cpu",),
            3,
            (),
            0.0,
        )

    def proven(self) -> tuple[Finding, ...]:
        """What a look in mid-run finds."""
        return proven(Case(self.under_way()))

    def findings(self) -> tuple[Finding, ...]:
        return judge(Case(self.recording()))

    def finding(self) -> Finding:
        """The one finding."""
        (finding,) = self.findings()
        return finding


def brief(finding: Finding) -> tuple[str, str, tuple[str, ...], str | None]:
    """What a test asks of a finding: the rule, how grave, which leaves, which line."""
    where = None if finding.location is None else finding.location.source
    return finding.rule, finding.severity, finding.parameters, where
