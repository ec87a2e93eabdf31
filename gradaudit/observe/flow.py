"""The dataflow of the probe: which value was made from which, by what, and whether the graph knows.

The nodes hold no tensor of the script's.  A node lives as long as the value it describes or
anything made from it.  The autograd graph says what *is* connected; the dataflow says what *was
meant to be*; where the two differ is the cut.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gradaudit.model.events import CutKind
from gradaudit.model.sites import Site
from gradaudit.observe.sites import RawSite


@dataclass(frozen=True, slots=True)
class Given:
    """How often values were written into a leaf, since which backward."""

    writes: int
    since: int


class Node:
    """One value: how it was made and from what.

    ``connected`` is whether the value requires grad; ``leaf`` the number of the leaf it is,
    ``gradient_of`` the leaf whose ``.grad`` it is, ``shares`` the leaf whose memory it shares.
    ``base`` is the tensor it is a view or detached alias of: what is written into the one is
    written into the other.  ``switch`` is where grad mode was off when it was made.  ``since`` is
    how many backwards there were when leaves last went into what it was made from.  ``spent``
    values were backpropagated.  ``relevant`` values come from leaves or gradients; of the others
    only their origin is kept.  ``guessed`` nodes may not belong where they are.  ``given`` ones are
    leaves into which the values of others were written.  The script has looked at the value of
    ``shown`` ones.  ``size`` is the largest magnitude in the value, where it was measured; on
    another device than the CPU it is still there.
    """

    __slots__ = (
        "__weakref__",
        "base",
        "connected",
        "consumed",
        "cut",
        "given",
        "gradient_of",
        "guessed",
        "leaf",
        "operation",
        "parents",
        "relevant",
        "shares",
        "shown",
        "since",
        "site",
        "size",
        "spent",
        "switch",
    )

    def __init__(
        self, operation: str, site: RawSite | None, parents: tuple[Node, ...], *, connected: bool
    ) -> None:
        self.operation = operation
        self.site = site
        self.parents = parents
        self.connected = connected
        self.relevant = False
        self.consumed = False
        self.cut: CutKind = "non-differentiable"
        self.leaf: int | None = None
        self.gradient_of: int | None = None
        self.shares: int | None = None
        self.switch: Site | None = None
        self.base: weakref.ref[Any] | None = None
        self.since = 0
        self.spent = False
        self.given: Given | None = None
        self.guessed = False
        self.shown = False
        self.size: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """An operation whose inputs are connected to leaves by the graph and whose output is not.

    A ``guessed`` one may have nothing to do with the loss.
    """

    node: Node
    produced: Node | None
    leaves: frozenset[int]
    guessed: bool


@dataclass(frozen=True, slots=True, eq=False)
class Ancestry:
    """What a backpropagated root was made from, by dataflow."""

    leaves: frozenset[int]
    cuts: tuple[Cut, ...]
    functions: tuple[Node, ...] = ()


def ancestry(roots: Iterable[Node], backwards: int = 0) -> Ancestry:
    """Walk from the roots towards the leaves; collect every leaf and every cut on the way.

    ``backwards`` is how many there were by now: values that were written into a leaf count only if
    they were written as often; before the second backward that cannot be known, so what lies behind
    them is guessed.

    Whatever is passed is consumed: it went into something that is backpropagated.  ``functions``
    are the custom autograd functions on the way, which may pass nothing on.
    """
    functions: list[Node] = []
    seen: set[int] = set()
    leaves: set[int] = set()
    cuts: list[Cut] = []
    early: set[int] = set()
    queue = list(roots)
    for node in queue:  # the queue grows while it is walked: breadth first, nearest cut first
        if id(node) in seen:
            continue
        seen.add(id(node))
        node.consumed = True
        if node.cut == "blocked":
            functions.append(node)
        if node.leaf is not None:
            leaves.add(node.leaf)
        if node.given is not None and node.given.writes < backwards - node.given.since:
            continue
        guessed = node.guessed or id(node) in early
        if guessed or (node.given is not None and not node.given.since and backwards == 1):
            early.update(map(id, node.parents))
            guessed = True
        if not node.connected or node.leaf is not None:  # a leaf with parents was made anew
            cuts.extend(_cut(node, guessed=guessed))
        queue.extend(node.parents)
    return Ancestry(frozenset(leaves), tuple(cuts), tuple(functions))


def _cut(node: Node, *, guessed: bool) -> Iterator[Cut]:
    connected = [parent for parent in node.parents if parent.connected]
    if connected:
        inner = [parent for parent in connected if parent.leaf is None]
        yield Cut(node, inner[0] if inner else None, leaves_of(connected), guessed)


def leaves_of(nodes: Iterable[Node]) -> frozenset[int]:
    """All leaves that values were made from, as far as the graph connects them."""
    seen: set[int] = set()
    leaves: set[int] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.leaf is not None:
            leaves.add(node.leaf)
            continue
        stack.extend(parent for parent in node.parents if parent.connected)
    return frozenset(leaves)


def copied_from(node: Node) -> int | None:
    """The leaf that a value was made from, and from nothing else."""
    while node.leaf is None and len(node.parents) == 1:
        node = node.parents[0]
    return node.leaf


#: How far back a value that updates a leaf is followed to that leaf's own gradient.
UPDATE_DEPTH = 400


def _behind(nodes: Iterable[Node], *, past_leaves: bool = True) -> Iterator[Node]:
    """Values and what they were made from, as far back as an update may reach."""
    seen: set[int] = set()
    queue = list(nodes)
    for node in queue:  # the queue grows while it is walked
        yield node
        if node.leaf is not None and not past_leaves:
            continue
        if id(node) not in seen and len(seen) <= UPDATE_DEPTH:
            seen.add(id(node))
            queue.extend(node.parents)


def made_only_of(node: Node, leaf: int | None) -> bool:
    """Whether one leaf is all that a value was made from."""
    return all(each.leaf in (None, leaf) for each in _behind((node,), past_leaves=False))


def gradients_behind(node: Node) -> bool:
    """Whether a value was computed from gradients."""
    return any(each.gradient_of is not None for each in _behind((node,)))


def comes_from_gradient(nodes: Iterable[Node], leaf: int) -> bool:
    """Whether values were computed from the gradient of a leaf."""
    return any(node.gradient_of == leaf for node in _behind(nodes))
