"""What the observers hand over when a run is over: the lives, and the words to tell them in."""

from __future__ import annotations

from dataclasses import dataclass

from gradaudit.ledger.ledger import Ledger
from gradaudit.model.report import Gap, Loop
from gradaudit.model.sites import Site


@dataclass(frozen=True, slots=True)
class LeafFacts:
    """What is known of a leaf besides its life.

    ``name`` is what the user would call it; ``named`` is False where that had to be made up.
    ``by_library`` ones were made by a library other than torch, on behalf of the user's line.
    ``derived`` leaves were given values computed from other leaves.
    ``differentiated`` ones had their gradients computed by ``torch.autograd.grad``.
    ``path`` is the same without the number that tells leaves of equal names apart.
    ``escaped`` is where a container or a plain tensor kept it from being registered in its module.
    ``unseen`` ones were made when the dataflow was not followed any more.
    ``elsewhere`` is whether an optimizer has it of which nothing else was seen.
    ``evaluating`` is whether the module that owns it was in eval mode in training.
    ``replicated`` is whether DistributedDataParallel keeps it equal on all ranks;
    of such ones ``value_norm`` are norms of its values, by iteration.
    """

    name: str
    aliases: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    numel: int
    requires_grad: bool
    named: bool = True
    alive: bool = True
    evaluating: bool = False
    escaped: Site | None = None
    path: str = ""
    derived: bool = False
    differentiated: bool = False
    by_library: bool = False
    unseen: bool = False
    elsewhere: bool = False
    replicated: bool = False
    value_norm: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class OptimizerFacts:
    """What is known of an optimizer besides its steps.

    ``unreached`` is where the text of the script would step it, if it never did.
    """

    name: str
    type: str
    unreached: Site | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One run, as it was seen.

    ``broken`` is whether the audit failed while it followed backwards, steps or clearings, so that
    the lives are not to be trusted; ``blind`` is why the dataflow was not seen, if it was not.
    ``rank`` is the rank and the size of the world, if there is one.
    """

    ledger: Ledger
    leaves: dict[int, LeafFacts]
    optimizers: dict[int, OptimizerFacts]
    loops: tuple[Loop, ...]
    torch_version: str
    devices: tuple[str, ...]
    probed_iterations: int
    gaps: tuple[Gap, ...]
    audit_seconds: float
    broken: bool = False
    blind: str | None = None
    rank: tuple[int, int] | None = None
