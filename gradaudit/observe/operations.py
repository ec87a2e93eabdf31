"""What kind of operation a torch function is, as far as gradients are concerned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal[
    "plain",  # makes a value from values
    "like",  # takes a shape from a value, not its content
    "detach",  # shares or copies the content, leaves the graph
    "view",  # shares the memory, stays in the graph
    "export",  # hands the content to Python
    "in-place",  # changes its first argument
    "foreach-in-place",  # changes every tensor of its first argument
    "set-item",  # writes into its first argument
    "get",  # reads a property
    "set",  # assigns a property
    "delete",  # deletes a property
    "requires-grad",  # requires_grad_()
    "storage",  # hands out the memory
    "grad-mode",  # the global switch
    "differentiation",  # torch.autograd.grad
    "hook",  # register_hook of a tensor
    "show",  # puts the value into words, or asks it for a yes or no
    "quiet",  # nothing to see: backward, printing, hooks
]

_LIKE = frozenset(
    {
        "zeros_like",
        "ones_like",
        "empty_like",
        "full_like",
        "rand_like",
        "randn_like",
        "randint_like",
        "new_zeros",
        "new_ones",
        "new_empty",
        "new_full",
        "new_tensor",
        "new",
        "new_empty_strided",
    }
)
_DETACH = frozenset(
    {"detach", "detach_copy", "tensor", "as_tensor", "asarray", "new_tensor", "__deepcopy__"}
)
_VIEW = frozenset(
    {
        "view",
        "view_as",
        "reshape",
        "reshape_as",
        "flatten",
        "ravel",
        "t",
        "transpose",
        "permute",
        "squeeze",
        "unsqueeze",
        "narrow",
        "select",
        "expand",
        "expand_as",
        "__getitem__",
        "unfold",
        "swapaxes",
        "swapdims",
        "movedim",
        "diagonal",
        "alias",
        "as_strided",
    }
)
_EXPORT = frozenset(
    {
        "item",
        "tolist",
        "numpy",
        "__array__",
        "__float__",
        "__int__",
        "__complex__",
        "__index__",
        "__dlpack__",
    }
)
_QUIET = frozenset(
    {
        "backward",
        "register_post_accumulate_grad_hook",
        "retain_grad",
        "__len__",
        "__hash__",
        "__contains__",
        "size",
        "dim",
        "numel",
        "stride",
        "is_contiguous",
        "_record_function_enter_new",
        "__call__",
        "share_memory_",
        "is_floating_point",
        "_fix_weakref",
        "storage",
        "data_ptr",
        "element_size",
        "is_complex",
        "__torch_function__",
        "has_torch_function",
    }
)
_SHOW = frozenset({"__repr__", "__format__", "__str__", "__bool__"})
_IN_PLACE_OPERATORS = frozenset(
    {
        "__iadd__",
        "__isub__",
        "__imul__",
        "__itruediv__",
        "__ifloordiv__",
        "__ipow__",
        "__imod__",
        "__iand__",
        "__ior__",
        "__ixor__",
        "__ilshift__",
        "__irshift__",
        "__imatmul__",
        "__idiv__",
    }
)
#: What users call what Python calls by another name.
_USERS_NAMES = {"__deepcopy__": "copy.deepcopy"}
#: Properties whose value is another view of the tensor.
_VIEW_PROPERTIES = frozenset({"T", "mT", "H", "mH", "real", "imag"})


@dataclass(frozen=True, slots=True)
class Operation:
    """The name users know a function by, and its kind; of a property, the property's name."""

    name: str
    kind: Kind


def classify(function: Callable[..., Any]) -> Operation:
    """Tell what a function that reached ``__torch_function__`` does."""
    name: str = getattr(function, "__name__", "") or type(function).__name__
    if name in {"__get__", "__set__", "__delete__"}:
        return _property(function, name)
    return Operation(_USERS_NAMES.get(name, name), _kind(name, function))


def _property(function: Callable[..., Any], accessor: str) -> Operation:
    owner = getattr(function, "__self__", None)
    getter = getattr(owner, "fget", None)
    name = str(getattr(owner, "__name__", None) or getattr(getter, "__name__", "property"))
    if accessor == "__set__":
        return Operation(name, "set")
    if accessor == "__delete__":
        return Operation(name, "delete")
    if name in _VIEW_PROPERTIES:
        return Operation(name, "view")
    return Operation(name, "get")


def _kind(name: str, function: Callable[..., Any]) -> Kind:
    if name == "requires_grad_":
        return "requires-grad"
    if name == "detach_":
        return "in-place"
    if name in _QUIET:
        return "quiet"
    if name in _SHOW:
        return "show"
    if name in _LIKE and name != "new_tensor":
        return "like"
    if name in _DETACH:
        return "detach"
    if name in _VIEW:
        return "view"
    if name in _EXPORT:
        return "export"
    if name == "__setitem__":
        return "set-item"
    if name in _IN_PLACE_OPERATORS:
        return "in-place"
    if name.startswith("_foreach_") and name.endswith("_"):
        return "foreach-in-place"
    if name.endswith("_") and not name.endswith("__"):
        return "in-place"
    if name == "untyped_storage":
        return "storage"
    if name == "_set_grad_enabled":
        return "grad-mode"
    if name == "register_hook":
        return "hook"
    if name == "grad":
        return "differentiation"
    if getattr(function, "__module__", None) == "torch.nn.init":
        return "in-place"
    return "plain"
