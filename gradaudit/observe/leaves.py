"""The leaves of the graph that the audit knows, held by weak references only."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from gradaudit.model.events import LeafKind, LeafSeen, Members, Replaced
from gradaudit.model.sites import Site

#: Around our own calls into torch: no mode and no subclass is to hear of them.
undispatched = torch._C.DisableTorchFunction

#: How many things that are made of sets of leaves are remembered, of each kind.
INTERNED = 4096

#: How many leaves the interned sets may have together: some 20 MB.
ROOM = 1 << 18

#: How many leaves that were told of may be gone before new ones are taken for more of the kind.
THROWN_AWAY = 256


@dataclass(slots=True, eq=False)
class Leaf:
    """A parameter of a module, or any other leaf.

    ``owner`` is the type of the ``module`` it was registered in, ``attribute`` its name there.
    ``made_under`` are the calls of the user's around its creation, the innermost first; ``derived``
    is whether it was given values computed from other leaves.
    ``by_library`` is whether a library other than torch made it on behalf of the user's line.
    ``copy_of`` is the leaf whose values it was given when it was made; ``replaced`` tells what
    has taken its place in its module.
    ``differentiated`` is whether ``torch.autograd.grad`` was asked for its gradient.
    ``replicated`` is whether DistributedDataParallel keeps it equal on all ranks.
    ``told`` says whether the ledger has heard of it: only leaves that something happens to are
    told, so that a program may make and drop a million modules.
    """

    number: int
    kind: LeafKind
    reference: weakref.ref[torch.Tensor]
    shape: tuple[int, ...]
    dtype: str
    numel: int
    requires_grad: bool
    created: Site | None = None
    owner: str | None = None
    attribute: str | None = None
    module: weakref.ref[torch.nn.Module] | None = None
    told: bool = False
    frozen_at: Site | None = None
    copy_of: int | None = None
    derived: bool = False
    by_library: bool = False
    made_under: tuple[Site, ...] = ()
    replaced: Replaced | None = None
    differentiated: bool = False
    replicated: bool = False


def strong(reference: weakref.ref[torch.Tensor]) -> torch.Tensor | None:
    """The tensor behind a weak reference, or None.

    A tensor that only C++ holds has given its Python object away; after such a reference was
    followed it must be told so (``torch.utils.weak.WeakRef`` does the same; torch 2.13).
    """
    tensor = reference()
    if tensor is not None:
        tensor._fix_weakref()  # type: ignore[attr-defined]
    return tensor


def connected(tensor: torch.Tensor) -> bool:
    """Whether a tensor requires grad.

    A view made under no_grad whose base was changed in place since cannot even be asked
    (torch 2.13 raises RuntimeError); it is in no graph, and no leaf either.
    """
    try:
        return tensor.requires_grad
    except RuntimeError:
        return False


def is_leaf(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a leaf; see :func:`connected`."""
    try:
        return tensor.is_leaf
    except RuntimeError:
        return False


def is_parameter(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a parameter.

    ``isinstance`` would look for an attribute that other subclasses may have (torch 2.13), and run
    into a ``__getattr__`` of the user's.
    """
    return issubclass(type(tensor), torch.nn.Parameter) or "_is_param" in tensor.__dict__


class Leaves:
    """Leaf by tensor, by number; the numbers are never used again."""

    def __init__(self, emit: Callable[[LeafSeen | Replaced], None]) -> None:
        self._emit = emit
        self._by_id: dict[int, Leaf] = {}
        self._all: dict[int, Leaf] = {}
        #: the number that the next leaf will have
        self.next_number = 0
        self._interned: dict[Members, Members] = {}
        self._room = ROOM
        #: called when the interned sets are let go, for those who keep some of them
        self.let_go: Callable[[], None] = lambda: None
        #: leaves told of for which nobody has found a name yet
        self.nameless: set[int] = set()
        #: how many of those told of are gone
        self.thrown_away = 0
        self._enough: int | None = None

    def find(self, tensor: torch.Tensor) -> Leaf | None:
        """The leaf this very tensor is, if it is known."""
        return self._by_id.get(id(tensor))

    def learn(self, tensor: torch.Tensor, created: Site | None = None) -> Leaf:
        """Take a leaf into the register."""
        known = self._by_id.get(id(tensor))
        if known is not None:
            return known
        number = self.next_number
        self.next_number += 1
        key = id(tensor)
        leaf = Leaf(
            number,
            "parameter" if is_parameter(tensor) else "tensor",
            weakref.ref(tensor, lambda _: self._lost(key, number)),
            _shape(tensor),
            str(tensor.dtype).removeprefix("torch."),
            _numel(tensor),
            tensor.requires_grad,
            created,
        )
        self._by_id[key] = leaf
        self._all[number] = leaf
        return leaf

    def _lost(self, key: int, number: int) -> None:
        self._by_id.pop(key, None)
        leaf = self._all.get(number)
        if leaf is None:
            return
        if not leaf.told:
            del self._all[number]
            return
        self.thrown_away += 1
        if self.thrown_away == THROWN_AWAY:
            self._enough = self.next_number

    def one_of_many(self, leaf: Leaf) -> bool:
        """Whether leaves made before this one were thrown away by the hundred, as it will be."""
        return self._enough is not None and leaf.number >= self._enough

    def tell(self, leaf: Leaf) -> int:
        """Make sure the ledger has heard of a leaf; its number."""
        if not leaf.told:
            leaf.told = True
            self.nameless.add(leaf.number)
            holding = False
            tensor = strong(leaf.reference)
            if tensor is not None:
                leaf.requires_grad = tensor.requires_grad
                leaf.shape, leaf.numel = _shape(tensor), _numel(tensor)  # lazy ones get theirs late
                holding = tensor.grad is not None
            self._emit(
                LeafSeen(
                    leaf.number,
                    leaf.kind,
                    leaf.requires_grad,
                    leaf.created,
                    leaf.frozen_at,
                    leaf.copy_of,
                    leaf.made_under,
                    holding,
                )
            )
            if leaf.replaced is not None:
                self._emit(leaf.replaced)
        return leaf.number

    def told(self, numbers: Iterable[int]) -> Members:
        """Those of some leaves that are still known; the ledger has heard of them."""
        return self.members([self.tell(self._all[each]) for each in numbers if each in self._all])

    def replace(self, leaf: Leaf, heir: Leaf | None, site: Site | None) -> None:
        """A module has taken something else in the place of a leaf."""
        leaf.replaced = Replaced(site, leaf.number, None if heir is None else heir.number)
        if leaf.told:
            self._emit(leaf.replaced)

    def __getitem__(self, number: int) -> Leaf:
        return self._all[number]

    def __contains__(self, number: int) -> bool:
        return number in self._all

    def alive(self) -> list[tuple[Leaf, torch.Tensor]]:
        """Every known leaf whose tensor still lives."""
        found = []
        for leaf in list(self._all.values()):
            tensor = strong(leaf.reference)
            if tensor is not None:
                found.append((leaf, tensor))
        return found

    def all(self) -> Iterable[Leaf]:
        """Every leaf ever told of, and every other that lives."""
        return self._all.values()

    def members(self, numbers: Iterable[int]) -> Members:
        """A set of leaves, interned: equal sets are one object."""
        fresh = frozenset(numbers)
        known = self._interned.setdefault(fresh, fresh)
        if known is fresh:
            self._room -= len(fresh) + 1
            if self._room < 0:  # random experts make ever new sets; equal ones still are equal
                self._interned.clear()
                self._room = ROOM
                self.let_go()
        return known


def _shape(tensor: torch.Tensor) -> tuple[int, ...]:
    try:
        return tuple(int(size) for size in tensor.shape)
    except RuntimeError:  # an uninitialised parameter of a lazy module has none yet
        return ()


def _numel(tensor: torch.Tensor) -> int:
    try:
        return int(tensor.numel())
    except (RuntimeError, ValueError):  # as above
        return 0
