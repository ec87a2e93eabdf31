"""What the user's own code does to gradients by hand, and what it finds where it reads them."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType

import torch

from gradaudit.ledger.ledger import NOBODY
from gradaudit.model import events as ev
from gradaudit.model.sites import Site
from gradaudit.observe.flow import leaves_of
from gradaudit.observe.leaves import Leaf, is_leaf, is_parameter
from gradaudit.observe.nodes import Nodes
from gradaudit.observe.reads import Read, Reads, reason_for_none
from gradaudit.observe.sites import SiteBook
from gradaudit.observe.watch import Watch


class Handiwork:
    """The :class:`gradaudit.observe.watchers.GradientWatcher` of a run."""

    def __init__(self, watch: Watch, nodes: Nodes, sites: SiteBook) -> None:
        self._watch = watch
        self._deeds = watch.deeds
        self._nodes = nodes
        self._sites = sites
        self._reads = Reads(sites)
        self._found: set[Site] = set()

    # -- what is done ------------------------------------------------------------------------------

    def cleared_by_hand(self, leaf: Leaf, site: Site | None, *, to_none: bool) -> None:
        """The user's code cleared a gradient."""
        self._deeds.cleared(self._watch.follow_leaf(leaf), site, to_none=to_none)

    def assigned_by_hand(self, leaf: Leaf, site: Site | None) -> None:
        """The user's code assigned a gradient."""
        self._deeds.assigned(self._watch.follow_leaf(leaf), site)

    def rescaled(self, leaf: Leaf, site: Site | None, *, clipped: bool, filling: bool) -> None:
        """A gradient was changed in place."""
        number = self._watch.follow_leaf(leaf)
        self._deeds.rescaled(number, site, clipped=clipped, filling=filling)

    def updated_by_hand(self, leaf: Leaf, site: Site) -> None:
        """The user's code updated a leaf with its own gradient."""
        self._deeds.updated(self._watch.follow_leaf(leaf), site)

    def requires_grad_set(self, leaf: Leaf, site: Site, *, value: bool) -> None:
        """The user's code froze or thawed a leaf."""
        leaf.requires_grad = value
        if not value:
            leaf.frozen_at = site
        if leaf.told:
            self._deeds.frozen(leaf.number, site, value=value)

    # -- what is found -----------------------------------------------------------------------------

    def gradient_read(self, tensor: torch.Tensor, frame: FrameType, *, present: bool) -> None:
        """The user's code read ``.grad``."""
        read = self._reads.at(frame)
        site = self._sites.here(frame)
        if read is None or site is None:
            return
        # of a result, even the question whether there is a gradient has one answer
        asking = read.asking and is_leaf(tensor)
        leaf = self._watch.leaves.find(tensor)
        if present:
            self._find(site)
            if leaf is not None and not read.changing and not asking:
                self._deeds.read(self._watch.follow_leaf(leaf), site)
        elif asking:
            if not (read.bulk or tensor.requires_grad or is_parameter(tensor)):
                self._none_read(tensor, leaf, site, read, asking=True)
        elif is_leaf(tensor) or not tensor.retains_grad:
            self._none_read(tensor, leaf, site, read)

    def _find(self, site: Site) -> None:
        if site not in self._found:
            self._found.add(site)
            self._watch.tell(ev.GradFound(site))

    def given(self, params: object, site: Site, name: Callable[[object], str]) -> None:
        """An optimizer is being given tensors; those that are no leaves it will refuse."""
        if not isinstance(params, (list, tuple)):
            return
        given = [each.get("params") if isinstance(each, dict) else each for each in params]
        for value in given:
            for tensor in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(tensor, torch.Tensor) and not is_leaf(tensor):
                    self._watch.tell(
                        ev.NoneRead(
                            site, None, name(tensor), "given-to-optimizer", *self.origin(tensor)
                        )
                    )

    def _none_read(
        self,
        tensor: torch.Tensor,
        leaf: Leaf | None,
        site: Site,
        read: Read,
        *,
        asking: bool = False,
    ) -> None:
        watch = self._watch
        subject, number = read.subject, None
        origin, operation = self.origin(tensor)
        if is_leaf(tensor):
            origin = origin or self._sites.binding(subject, site)
            number = watch.follow(tensor, origin) if leaf is None else watch.follow_leaf(leaf)
        filled = number is not None and bool(watch.ledger.life(number).deposited)
        reason = reason_for_none(
            tensor, backward_ran=watch.ledger.backward_calls > 0, was_filled=filled
        )
        if read.bulk and number is None and origin is not None:
            subject = self._sites.assigned_name(origin) or subject
        node = None if number is not None else self._nodes.node(tensor)
        behind = NOBODY if node is None else watch.leaves.told(leaves_of((node,)))
        watch.tell(
            ev.NoneRead(site, number, subject, reason, origin, operation, read.bulk, behind, asking)
        )

    def origin(self, tensor: torch.Tensor) -> tuple[Site | None, str | None]:
        """Where a tensor was made, and by what, if that was seen."""
        node = self._nodes.node(tensor)
        if node is None or node.site is None:
            return None, None
        return self._sites.of(node.site), node.operation
