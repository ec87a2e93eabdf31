"""What the observers see, in the order in which it happened.

An event never judges.  Leaves and optimizers are named by small integers; sets of leaves are
frozensets that the observers intern, so that the same set is the same object at every iteration
and the ledger's fold can recognise a steady run at a glance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from gradaudit.model.sites import Site

#: Identifiers of leaves.
Members: TypeAlias = "frozenset[int]"

LeafKind = Literal["parameter", "tensor"]

#: How a value left the graph.
CutKind = Literal[
    "detach",  # detach(), .data, detach_()
    "grad-mode",  # the operation ran while grad mode was off
    "export",  # the value left torch (item, numpy, tolist) and came back as a new tensor
    "non-differentiable",  # an operation without a derivative: argmax, comparison, rounding to int
    "checkpoint",  # a reentrant checkpoint none of whose inputs requires grad
    "blocked",  # connected by the graph, yet its backward passes nothing on
    "written",  # the values were written into another leaf
    "first-order",  # torch.autograd.grad without create_graph
]

#: Why a `.grad` that the user's code read was None.
ReadReason = Literal[
    "non-leaf",
    "requires-grad-missing",
    "before-backward",
    "cleared",
    "not-reached",
    "given-to-optimizer",
]

#: Why the backward of an operation made exact zeros of a gradient that was none.
ZeroKind = Literal[
    "flat",  # a step function: its slope is zero wherever it has one
    "one",  # a softmax over one number, a normalisation of one: always the same
    "bounded",  # everything was beyond the bounds of a clamp
    "dead",  # everything was on the flat side of a ReLU or a maximum
    "saturated",  # everything was where a sigmoid and the like have no slope left
    "zeros",  # both sides of a product were nothing but zeros
    "zeroed",  # multiplied by zero, masked out, not selected
    "underflow",  # cast to a type in which it is too small a number
    "hook",  # a hook of a tensor, or a full backward hook of a module, returned zeros
    "satisfied",  # a term of the loss that is already as small as it can be
    "other",  # anything else: a sum that cancels, rows that were not looked up
]


@dataclass(frozen=True, slots=True, eq=False)
class LeafSeen:
    """A leaf became known: where the user made it, and where it was frozen before that.

    ``copy_of`` is the leaf whose values it was made from, and from nothing else.
    ``made_under`` are the calls of the user's around ``created``, the innermost first.
    ``holding`` is whether it had a gradient by then, of which nobody knows where it came from.
    """

    leaf: int
    kind: LeafKind
    requires_grad: bool
    created: Site | None = None
    frozen_at: Site | None = None
    copy_of: int | None = None
    made_under: tuple[Site, ...] = ()
    holding: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Declared:
    """Where a leaf that was there before anybody looked is made, as the classes around it tell.

    ``made_under`` are those of the classes that hold it, the innermost first.
    """

    leaf: int
    created: Site
    made_under: tuple[Site, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """Gradients of leaves were used where nobody looked.

    An optimizer has a state for them, or a hook takes them inside the backward.
    """

    members: Members


@dataclass(frozen=True, slots=True, eq=False)
class Replaced:
    """A module was given another parameter in the place of a leaf; ``heir`` is what it uses now."""

    site: Site | None
    leaf: int
    heir: int | None


@dataclass(frozen=True, slots=True, eq=False)
class RequiresGradSet:
    """``requires_grad`` of leaves was set, by whatever means."""

    site: Site
    members: Members
    value: bool


@dataclass(frozen=True, slots=True, eq=False)
class FreezeMisspelt:
    """An assignment that looks as if it changed ``requires_grad`` of leaves and does not.

    ``module.requires_grad = True`` sets an attribute that nothing reads, and so does
    ``parameter.require_grad = True``.
    """

    site: Site | None
    members: Members
    text: str
    value: bool


@dataclass(frozen=True, slots=True, eq=False)
class OptimizerSeen:
    """An optimizer was built, or its members changed; ``groups`` are its param groups.

    Leaves numbered from ``horizon`` on were made after it was built.
    """

    optimizer: int
    site: Site | None
    members: Members
    groups: tuple[Members, ...] = ()
    horizon: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Backward:
    """A backward that accumulates into ``.grad``; ``deposited`` are the leaves it reached.

    ``root`` is the expression the user called it on.  ``failed`` backwards raised; ``hopeless``
    are those whose root did not require grad, and ``made`` is where such a root was made.
    ``evaluating`` is whether the modules it reached were in eval mode, ``scaled`` whether a
    GradScaler had scaled the root; ``again`` is where the same root was backpropagated before.
    ``closure`` is whether an optimizer called for it, and so has the use of it.
    """

    site: Site
    root: str | None
    deposited: Members
    failed: bool = False
    grad_mode_off: Site | None = None
    hopeless: bool = False
    made: Site | None = None
    evaluating: bool = False
    scaled: bool = False
    again: Site | None = None
    closure: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class PartBefore:
    """The root of a backward was made from another that was backpropagated at ``part``."""

    site: Site
    part: Site


@dataclass(frozen=True, slots=True, eq=False)
class Differentiated:
    """``torch.autograd.grad``: gradients were computed and returned, none was accumulated."""

    site: Site


@dataclass(frozen=True, slots=True, eq=False)
class Assigned:
    """``.grad`` was given a tensor by hand (gradient surgery, autograd.grad, a wrapper)."""

    site: Site | None
    members: Members


@dataclass(frozen=True, slots=True, eq=False)
class Cleared:
    """``.grad`` became None or zeros.

    ``members`` held a gradient before; ``targets`` are all that the clearing was aimed at.
    """

    site: Site | None
    members: Members
    targets: Members
    by_hand: bool
    to_none: bool


@dataclass(frozen=True, slots=True, eq=False)
class ZeroGradCalled:
    """``zero_grad`` of an optimizer or module was called, whatever there was to clear."""

    site: Site
    targets: Members


@dataclass(frozen=True, slots=True, eq=False)
class Stepped:
    """An optimizer stepped: ``present`` had a ``.grad`` that is not None, ``missing`` had none.

    ``grad_mode_off`` is where gradients had been switched off, if they still were.
    """

    site: Site
    optimizer: int
    present: Members
    missing: Members
    grad_mode_off: Site | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Updated:
    """Leaves were updated by hand with values computed from their own gradient."""

    site: Site
    members: Members


@dataclass(frozen=True, slots=True, eq=False)
class Rescaled:
    """``.grad`` was changed in place, neither to zeros nor by a backward (clipping, decay …).

    ``filling`` is whether values were put in, so that one of zeros holds something now.
    """

    site: Site | None
    members: Members
    clipped: bool = False
    filling: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Unscaled:
    """A GradScaler divided gradients by its scale."""

    site: Site
    members: Members


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """A step has used what its closure left in its ``members``, and calls the closure again."""

    members: Members


@dataclass(frozen=True, slots=True, eq=False)
class GradRead:
    """The user's own code read ``.grad`` of leaves, and it held something."""

    site: Site
    members: Members


@dataclass(frozen=True, slots=True, eq=False)
class NoneRead:
    """The user's own code read a ``.grad`` that was None.

    ``leaf`` is None for a tensor that is not a leaf.  ``subject`` is the expression in the user's
    code; ``origin`` is where the tensor came from, ``behind`` the leaves it was made of.
    ``asking`` is whether it only asked if there is a gradient.
    """

    site: Site
    leaf: int | None
    subject: str
    reason: ReadReason
    origin: Site | None
    operation: str | None = None
    bulk: bool = False
    behind: Members = frozenset()
    asking: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class GradFound:
    """The user's own code read a ``.grad`` here, or asked for one, and there was one."""

    site: Site


@dataclass(frozen=True, slots=True, eq=False)
class Entered:
    """Leaves took part in an operation; ``site`` is the first such place.

    ``under`` are the calls of the user's around it, the innermost first.  ``bypassed`` is whether
    processes train together, and no DistributedDataParallel had been called for it.
    """

    site: Site
    members: Members
    under: tuple[Site, ...] = ()
    bypassed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """The values of leaves were handed to Python; ``site`` is the first such place."""

    site: Site
    members: Members


@dataclass(frozen=True, slots=True, eq=False)
class Severed:
    """At a backward, leaves were ancestors of its root by dataflow, but not by the graph.

    ``site`` is the operation that left the graph, ``operation`` its name; ``switch`` is where
    grad mode was switched off, when that is the way it left.  ``produced`` is where the value
    that was cut had been made, ``backward`` the call site of the backward whose loss lacks it.
    A ``guessed`` cut is a number handed to Python from which the loss may have been computed.
    Whether a ``scheduled`` one is made depends, by its text, on how far the training has come.
    """

    site: Site
    operation: str
    kind: CutKind
    members: Members
    backward: Site
    switch: Site | None = None
    produced: Site | None = None
    guessed: bool = False
    scheduled: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class LossLeft:
    """A scalar that could be backpropagated was computed from leaves, and it was not.

    ``shown`` is whether the script looked at its value.
    """

    site: Site
    members: Members
    shown: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class DeadEnd:
    """A value was made from leaves, nothing was made of it, and it was dropped."""

    site: Site
    members: Members


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """How large the gradients were that a step of ``iteration`` was given.

    ``norms`` has one norm for each of ``leaves``.  ``zero`` are those without any element that is
    not exactly zero; ``nonfinite`` those with NaN or Inf, which the step has used all the same.
    """

    iteration: int
    leaves: tuple[int, ...]
    norms: tuple[float, ...]
    zero: Members = frozenset()
    nonfinite: Members = frozenset()


#: What spoils a gradient: an operation in its backward, or in the forward already; a value outside
#: of the graph that went into one, whether it was seen being made or not; a leaf; or a hook.
Spoiler = Literal["backward", "forward", "value", "input", "leaf", "hook"]


@dataclass(frozen=True, slots=True, eq=False)
class NonfiniteMade:
    """An operation made NaN or Inf of what was finite, the first to do so.

    ``site`` is the line that ran the operation forward, ``operation`` its name; ``members`` are
    the leaves that it spoilt.  ``loss_finite`` is whether what was backpropagated was finite.
    ``by`` says in which way; a hook is one of a tensor or a module, and stands in for the
    operation.  ``leaf`` is the leaf that held NaN or Inf itself.
    """

    site: Site | None
    operation: str
    members: Members
    backward: Site
    loss_finite: bool = True
    by: Spoiler = "backward"
    leaf: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ZeroMade:
    """The backward of an operation made exact zeros, and nothing else reached ``members``.

    Without ``site`` where the line that ran the operation is not known.
    """

    site: Site | None
    operation: str
    members: Members
    backward: Site
    kind: ZeroKind


Event: TypeAlias = (
    LeafSeen
    | Declared
    | Remembered
    | Replaced
    | RequiresGradSet
    | FreezeMisspelt
    | OptimizerSeen
    | Backward
    | PartBefore
    | Differentiated
    | Assigned
    | Cleared
    | ZeroGradCalled
    | Stepped
    | Updated
    | Rescaled
    | Unscaled
    | Evaluated
    | GradRead
    | NoneRead
    | GradFound
    | Entered
    | Exported
    | Severed
    | LossLeft
    | DeadEnd
    | Sampled
    | NonfiniteMade
    | ZeroMade
)
