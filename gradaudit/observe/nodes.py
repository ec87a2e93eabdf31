"""The nodes of the dataflow: which value was made from which, and what came to an end there."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterator
from types import FrameType, MemberDescriptorType

import torch

from gradaudit.model.sites import Site
from gradaudit.observe.entries import Entries, Entry
from gradaudit.observe.exports import Exports
from gradaudit.observe.flow import (
    Ancestry,
    Given,
    Node,
    ancestry,
    copied_from,
    leaves_of,
)
from gradaudit.observe.grad_mode import checkpointing, enclosing_switch
from gradaudit.observe.leaves import Leaves, connected, is_leaf, is_parameter
from gradaudit.observe.lines import Lines
from gradaudit.observe.magnitude import size
from gradaudit.observe.operations import Operation
from gradaudit.observe.replicas import bypassing
from gradaudit.observe.sites import RawSite, SiteBook

#: How many scalars that might be losses are remembered while none was backpropagated.
_LOSSES = 32

#: What hold nothing but themselves, and the attribute under which a DTensor holds its part.
_PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})
_CONTENT = "_local_tensor"

#: How many values of which nothing was made are remembered between two steps.
_ENDS = 16


class Nodes:
    """The values that are alive, each with its node.

    Tensors are found by identity; an entry goes when its tensor does, so nothing is kept alive.
    """

    def __init__(self, sites: SiteBook, leaves: Leaves) -> None:
        self._sites = sites
        self._leaves = leaves
        self._nodes: dict[int, tuple[weakref.ref[torch.Tensor], Node]] = {}
        self._losses: deque[Node] = deque(maxlen=_LOSSES)
        self._ends: deque[Node] = deque(maxlen=_ENDS)
        self.exports = Exports()
        self.entered = Entries()
        self.lines = Lines()
        #: how many backwards have begun
        self.backwards = 0
        #: where grad mode was switched off, while it is off
        self.switch: Site | None = None

    def node(self, tensor: torch.Tensor) -> Node | None:
        """The node of a tensor, if its making was seen."""
        entry = self._nodes.get(id(tensor))
        return None if entry is None else entry[1]

    def attach(self, tensor: torch.Tensor, node: Node) -> None:
        """Let ``node`` describe ``tensor`` from now on."""
        key = id(tensor)
        known = self._nodes.get(key)
        if known is not None:
            self._nodes[key] = (known[0], node)
        else:
            self._nodes[key] = (weakref.ref(tensor, self._when_gone(key)), node)
        if node.relevant and type(tensor) not in _PLAIN:
            self._attach_content(tensor, node)

    def _when_gone(self, key: int) -> Callable[[object], None]:
        nodes, ends = self._nodes, self._ends

        def gone(_: object) -> None:
            last = nodes.pop(key, None)
            if last is not None and last[1].connected and not last[1].consumed:
                ends.append(last[1])

        return gone

    def _attach_content(self, tensor: torch.Tensor, node: Node) -> None:
        """Know what a DTensor holds, in case it is taken out: no mode sees that (torch 2.13)."""
        content = _content(tensor)
        if isinstance(content, torch.Tensor) and self.node(content) is None:
            inner = Node(_CONTENT, None, (node,), connected=connected(content))
            inner.cut, inner.relevant = "detach", True
            inner.shares = node.shares if node.leaf is None else node.leaf
            inner.gradient_of = node.gradient_of
            self.attach(content, inner)

    def forget(self) -> None:
        """Drop the whole dataflow: the probe is over."""
        self._nodes.clear()
        self.exports.clear()
        self._losses.clear()
        self._ends.clear()
        self.lines.forget()

    def source(self, tensor: torch.Tensor) -> Node:
        """The node of a tensor that goes into something, made here if its making went unseen."""
        node = self.node(tensor)
        if node is None:
            node = self._unseen(tensor)
            self.attach(tensor, node)
        elif node.connected is not connected(tensor):
            self.refresh(node, tensor)
        return node

    def _unseen(self, tensor: torch.Tensor) -> Node:
        node = Node("", None, (), connected=connected(tensor))
        trainable = node.connected or is_parameter(tensor)
        if trainable and is_leaf(tensor):
            node.leaf = self._leaves.learn(tensor).number
            node.relevant = True
        elif node.connected:
            node.relevant = True  # made by an operation that no function mode sees
        elif self.exports:  # torch.from_numpy is such an operation (torch 2.13)
            node.parents = self.exports.behind(tensor)
            node.relevant = bool(node.parents)
        return node

    def refresh(self, node: Node, tensor: torch.Tensor) -> None:
        """``requires_grad`` is not what it was when the node was made."""
        node.connected = connected(tensor)
        if node.connected and is_leaf(tensor) and node.leaf is None:
            leaf = self._leaves.learn(tensor, self.resolve(node.site))
            node.leaf, node.relevant = leaf.number, True

    # -- new ones -----------------------------------------------------------------------------

    def record(
        self,
        operation: Operation,
        output: torch.Tensor,
        parents: tuple[Node, ...],
        raw: RawSite | None,
        frame: FrameType,
    ) -> Node:
        """A value was made from others at a place: its node."""
        relevant = any(parent.relevant for parent in parents)
        node = Node(operation.name, raw, parents if relevant else (), connected=connected(output))
        node.relevant = relevant
        node.since = max(
            (self.backwards if each.leaf is not None else each.since for each in parents),
            default=self.backwards,
        )
        if node.connected:
            self.lines.note(output, node)
            if operation.kind != "view":
                node.size = size(output)
        if relevant:
            self._connect(node, operation, output, parents, frame)
        elif node.connected and is_leaf(output):
            leaf = self._leaves.learn(output, self.resolve(raw))
            node.leaf, node.relevant = leaf.number, True
        self.attach(output, node)
        return node

    def _connect(
        self,
        node: Node,
        operation: Operation,
        output: torch.Tensor,
        parents: tuple[Node, ...],
        frame: FrameType,
    ) -> None:
        if operation.kind in {"detach", "view"} and parents:
            first = parents[0]
            node.shares = first.shares if first.leaf is None else first.leaf
            node.gradient_of = first.gradient_of
        for parent in parents:
            parent.consumed = True
            if parent.site is None and parent.operation == _CONTENT:
                parent.site = node.site  # where it is used first: where it was read is not known
                self._explain_cut(parent, Operation(_CONTENT, "plain"), frame)
            if (
                node.connected
                and parent.leaf is not None
                and self._newly_entered(parent.leaf, frame)
                and torch.is_grad_enabled()  # a view made under no_grad is connected (torch 2.13)
            ):
                entry = Entry(self._sites.raw_stack(frame), bypassing(frame))
                self.entered.note(parent.leaf, entry)
        if node.connected:
            if is_leaf(output):  # re-made with requires_grad=True: a leaf, whatever it came from
                leaf = self._leaves.learn(output, self.resolve(node.site))
                leaf.derived = True
                if node.leaf is None and operation.kind == "detach":
                    leaf.copy_of = leaf.copy_of or copied_from(node)
                node.leaf, node.cut = leaf.number, "detach"
                if operation.kind == "view":  # made under no_grad, it is a leaf (torch 2.13)
                    self._explain_cut(node, operation, frame)
                else:
                    node.given = Given(1, self.backwards)
                return
            if output.numel() == 1:
                self._losses.append(node)
        elif any(parent.connected for parent in parents):
            self._explain_cut(node, operation, frame)

    def _newly_entered(self, leaf: int, frame: FrameType) -> bool:
        if leaf not in self.entered:
            return True
        return leaf in self.entered.bypassed and not bypassing(frame)

    def _explain_cut(self, node: Node, operation: Operation, frame: FrameType) -> None:
        if operation.kind == "detach" or operation.name in {"data", "detach_"}:
            node.cut = "detach"
        elif not torch.is_grad_enabled():
            if checkpointing(frame):
                node.cut = "checkpoint"
                return
            node.cut = "grad-mode"
            node.switch = self.switch or enclosing_switch(frame, self._sites)

    # -- losses ------------------------------------------------------------------------------

    def trained(self) -> None:
        """A backward, a step, a clearing: what Python was handed before belongs to the past."""
        self.exports.clear()

    def ancestry(self, roots: list[Node]) -> Ancestry:
        """What the roots of a backward were made from, what was handed to Python included."""
        self.backwards += 1
        self.exports.backwards = self.backwards
        return ancestry([*roots, *self.exports.take_counts()], self.backwards)

    def losses_left(self) -> Iterator[tuple[Site, frozenset[int], bool]]:
        """Scalars that nothing was made of and no backward was called on; each told once.

        With the leaves each was made from, and whether the script looked at its value.
        """
        for node in self._losses:
            if not node.consumed and node.site is not None:
                yield self._sites.of(node.site), leaves_of((node,)), node.shown
        self._losses.clear()

    def forgive(self) -> None:
        """The run was ended from outside: what came behind the last backward had no chance."""
        for kept in (self._losses, self._ends):
            past = [node for node in kept if node.since < self.backwards]
            kept.clear()
            kept.extend(past)

    def dead_ends(self, unfed: Callable[[], set[int]]) -> Iterator[tuple[Site, set[int]]]:
        """Where values were made of which nothing was, before they were dropped; each told once.

        With those of the ``unfed`` leaves that each was made from.
        """
        ends = list(self._ends)
        self._ends.clear()
        wanted = unfed() if ends else set()
        for node in ends:
            if wanted and node.site is not None and node.leaf is None:
                leaves = wanted & leaves_of((node,))
                wanted -= leaves
                if leaves:
                    yield self._sites.of(node.site), leaves

    # -- places -----------------------------------------------------------------------------------

    def raw(self, frame: FrameType) -> RawSite | None:
        """The place of the user's nearest frame, not looked up yet."""
        user = self._sites.user_frame(frame)
        return None if user is None else (user.f_code, user.f_lasti)

    def resolve(self, raw: RawSite | None) -> Site | None:
        """The site of such a place."""
        return None if raw is None else self._sites.of(raw)


def _content(tensor: torch.Tensor) -> object:
    """What a tensor holds in the slot of that name; no code of a subclass of the user's is run."""
    for owner in type(tensor).__mro__:
        slot = vars(owner).get(_CONTENT)
        if isinstance(slot, MemberDescriptorType):
            return slot.__get__(tensor)
    return None
