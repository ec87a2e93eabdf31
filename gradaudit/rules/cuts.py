"""The words for one cut: what the operation does, and what to do instead."""

from __future__ import annotations

import re

from gradaudit.model.events import CutKind, Severed
from gradaudit.model.sites import Site

_WHY: dict[CutKind, str] = {
    "detach": "takes the value out of the graph",
    "grad-mode": "ran while gradients were switched off",
    "export": "hands the value to Python, where the graph cannot follow",
    "non-differentiable": "has no derivative",
    "checkpoint": "checkpoints with use_reentrant=True, and none of its inputs requires grad",
    "blocked": "passes no gradient on",
    "first-order": "returns gradients that are in no graph",
    "written": "writes the values into another parameter, which does not know where they are from",
}

_FREEZE = (
    "If these parameters are meant to stay as they are, freeze them and leave them out of the "
    "optimizer."
)

_HELP: dict[CutKind, str] = {
    "detach": f"Remove it on the way to the loss. {_FREEZE}",
    "grad-mode": f"Run this part with gradients enabled while training. {_FREEZE}",
    "export": "Compute the loss with torch operations all the way from the parameters.",
    "non-differentiable": "Replace it on the way to the loss by something differentiable (a soft "
    "version, a straight-through estimator, a score-function estimator).",
    "checkpoint": "Pass use_reentrant=False, or let one of the checkpointed inputs require grad.",
    "blocked": "Return a gradient for this input from the function's backward; if TorchScript runs "
    "the function, look for what leaves the graph in it.",
    "first-order": "Pass create_graph=True where the loss is made of what it returns.",
    "written": "Use the parameter itself in the forward pass, not a copy or an average of it; what "
    "was computed to serve as a parameter goes in by torch.func.functional_call.",
}

#: Kinds that say all about what to do instead.
_CERTAIN = frozenset({"grad-mode", "checkpoint", "blocked", "first-order", "written"})

#: What to do instead, by the operation or by the user's own text of it; the first that fits.
_PARTICULAR: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), help_)
    for pattern, help_ in (
        (
            r"^one_hot$|^argmax$|^argmin$|\.arg(max|min)\(",
            "Use softmax (or F.gumbel_softmax, hard=True for one-hot values) where the gradient "
            "has to pass; take the argmax only for metrics.",
        ),
        (
            r"^topk$|^sort$|^argsort$|^msort$|^kthvalue$|\.indices\b",
            "Indices have no derivative: use the values beside them, or a soft selection.",
        ),
        (
            r"^multinomial$|^bernoulli$|^normal$|^poisson$|\.sample\(|\.sample_n\(",
            "Samples have no gradient: use rsample() where the distribution has it, or the "
            "log_prob of the sample in the loss.",
        ),
        (
            r"^(gt|ge|lt|le|eq|ne|__gt__|__ge__|__lt__|__le__|__eq__|__ne__|greater|less)$|"
            r"^(isclose|logical_\w+|greater_equal|less_equal|not_equal|isnan|isinf|isfinite)$",
            "A comparison is a step without slope: use a soft one (torch.sigmoid of the "
            "difference), or let the gradient pass straight through.",
        ),
        (
            r"^(long|int|short|bool|byte|char|searchsorted|bucketize)$",
            "Integers have no gradient: keep the floating-point value on the way to the loss.",
        ),
        (
            r"^_local_tensor$",
            "Take the part of a DTensor that is here by to_local(), whose result is in the graph.",
        ),
        (
            r"\bstate_dict\(",
            "state_dict() hands out detached tensors: use dict(module.named_parameters()), or "
            "state_dict(keep_vars=True).",
        ),
        (
            r"\bstack_module_state\(",
            "stack_module_state makes leaves of their own: give these to the optimizer, not the "
            "parameters of the modules.",
        ),
        (
            r"\btorch\.tensor\(|^tensor$|^new_tensor$",
            "torch.tensor copies the values only: use torch.stack, torch.cat or the tensor itself.",
        ),
        (
            r"^copy\.deepcopy$|\bdeepcopy\(|^nn\.Parameter$|\bParameter\(",
            "A copy is a new leaf with a life of its own: use the parameter itself, or clone() "
            "where its values are to be changed.",
        ),
        (
            r"^pickling$",
            "What is saved and loaded again has no history: use the tensor itself.",
        ),
        (
            r"^item$|\.item\(|\bfloat\(",
            "Keep it a tensor on the way to the loss; item() and float() are for printing.",
        ),
        (
            r"^numpy$|\.numpy\(|^__array__$",
            "Use the torch function of the same name instead of NumPy's on the way to the loss.",
        ),
    )
)


#: What is written with a sign of its own.
_OPERATORS = frozenset({"add", "sub", "mul", "div", "pow", "matmul"})


def place(cut: Severed) -> Site:
    """The line to name: the switch where grad mode was off, else the operation."""
    return cut.switch if cut.kind == "grad-mode" and cut.switch is not None else cut.site


def why(cut: Severed) -> str:
    """What the operation does to the graph."""
    return _WHY[cut.kind]


def help_for(cut: Severed) -> str:
    """What to do instead of this very cut."""
    if cut.kind in _CERTAIN:
        return _HELP[cut.kind]
    text = expression(place(cut)) or ""
    for pattern, help_ in _PARTICULAR:
        if pattern.search(cut.operation) or pattern.search(text):
            return help_
    return _HELP[cut.kind]


def spoken(site: Site | None, operation: str) -> str:
    """The user's own words for an operation, and its name where they do not say it."""
    text = None if site is None else expression(site)
    if text is None:
        return f"`{operation}`"
    said = operation in text or not operation.isidentifier() or operation in _OPERATORS
    return f"`{text}`" if said else f"`{text}` ({operation})"


def expression(site: Site) -> str | None:
    """The expression at a site, from its columns; None where Python does not know them."""
    where = site.location
    if where.source is None or where.column is None or where.end_column is None:
        return None
    if where.end_line not in (None, where.line):
        return None
    return where.source[where.column - 1 : where.end_column - 1]
