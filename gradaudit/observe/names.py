"""The names users gave to their parameters and optimizers: found where they can be reached from."""

from __future__ import annotations

import functools
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType, FunctionType, MethodType, ModuleType
from typing import Any, TypeGuard, TypeVar

import torch
from torch.optim import Optimizer

from gradaudit.observe.source import SourceBook

_T = TypeVar("_T")

#: How many objects one search looks at, how deep it goes, how much of a container it reads.
_BUDGET, _DEPTH, _WIDTH = 20_000, 5, 256

_OPAQUE = (ModuleType, FunctionType, MethodType, type, str, bytes, int, float, complex, bool)
#: Variables that hold what others hold as well, as IPython's own do.
_LATE = frozenset({"self", "cls", "Out"})
_PLAIN_ATTRIBUTES = frozenset(vars(torch.nn.Module()))


@dataclass(slots=True)
class Name:
    """What one leaf is called, and by which other names of the same object."""

    text: str
    aliases: list[str] = field(default_factory=list)
    module: torch.nn.Module | None = None  # only during a search
    escaped: tuple[type, str] | None = None  # the class and attribute of a module it hides in


@dataclass(slots=True)
class Found:
    """The result of one search: names by the identity of what they name."""

    tensors: dict[int, Name] = field(default_factory=dict)
    optimizers: dict[int, str] = field(default_factory=dict)
    modules: dict[int, tuple[str, torch.nn.Module]] = field(default_factory=dict)


Scope = tuple[Mapping[str, Any], frozenset[str]]


def scopes(frames: Iterable[FrameType], sources: SourceBook) -> list[Scope]:
    """Variables of frames, and of the main module, the outermost first; with their loop targets."""
    main = vars(sys.modules["__main__"]) if "__main__" in sys.modules else {}
    stack = list(frames)[::-1]
    found: list[Scope] = []
    seen: set[int] = set()
    for frame in stack:
        local = frame.f_globals if frame.f_code.co_name == "<module>" else frame.f_locals
        found.append((local, sources[frame.f_code.co_filename].loop_targets))
        seen.add(id(local))
    for frame in stack:
        if id(frame.f_globals) not in seen and frame.f_globals is not main:
            seen.add(id(frame.f_globals))
            found.append((frame.f_globals, sources[frame.f_code.co_filename].loop_targets))
    if id(main) not in seen:
        path = main.get("__file__")
        targets = sources[path].loop_targets if isinstance(path, str) else frozenset()
        found.insert(0, (main, targets))
    return found


def search(places: list[Scope]) -> Found:
    """Name every tensor, optimizer and module that can be reached from variables.

    The shortest way from the outermost variable wins.  Variables called ``self`` or ``_…``, loop
    targets that hold a bare tensor, and whatever lies in private attributes come last.  The place
    of a bare tensor in a list comes behind what leads to its module: parameters are gathered in
    lists for an optimizer.
    """
    found = Found()
    state = _Search(found)
    for last_resort in (False, True):
        for variables, targets in places:
            state.explore(_roots(variables, targets, last_resort=last_resort), last=last_resort)
    state.name_the_rest()
    return found


def _roots(
    variables: Mapping[str, Any], targets: frozenset[str], *, last_resort: bool
) -> Iterator[tuple[str, Any]]:
    for name, value in list(variables.items()):
        if name.startswith("__") or _is(value, _OPAQUE):
            continue
        late = (
            name in _LATE
            or name.startswith("_")
            or (name in targets and _is(value, (torch.Tensor, torch.nn.Module)))
        )
        if late is last_resort:
            yield name, value


class _Search:
    """One breadth-first walk after the other, each over what the earlier ones left."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self._seen: set[int] = set()
        self._budget = _BUDGET
        self._numbered: list[tuple[int, Name]] = []
        self._bare: list[tuple[int, Name]] = []
        self._kept: list[object] = []  # so that the ids in _seen stay those of these objects

    def explore(self, roots: Iterable[tuple[str, Any]], *, last: bool) -> None:
        queue: deque[tuple[str, Any, int, tuple[type, str] | None]] = deque(
            (name, value, 0, None) for name, value in roots
        )
        late: list[tuple[str, torch.Tensor, Any]] = []
        while queue and self._budget > 0:
            name, value, depth, escape = queue.popleft()
            self._budget -= 1
            if _is(value, torch.Tensor):
                late.append((name, value, escape))
                continue
            if _is(value, _OPAQUE) or value is None or id(value) in self._seen:
                continue
            self._seen.add(id(value))
            self._kept.append(value)
            if _is(value, Optimizer):
                nameless = name.startswith("[")  # in a private list of a library's object
                self._found.optimizers.setdefault(
                    id(value), f"optimizers{name}" if nameless else name
                )
            elif _is(value, torch.nn.Module):
                queue.extend(self._module(name, value, depth, escape))
            elif depth < _DEPTH:
                queue.extend((path, item, depth + 1, escape) for path, item in _inside(name, value))
        for name, tensor, escape in late:
            named = Name(name, escaped=escape)
            if name.endswith("]"):
                self._numbered.append((id(tensor), named))
            elif last and "." not in name:
                self._bare.append((id(tensor), named))
            else:
                self._found.tensors.setdefault(id(tensor), named)

    def name_the_rest(self) -> None:
        """Tensors in lists and dictionaries, then those of variables that come last."""
        for key, name in (*self._numbered, *self._bare):
            self._found.tensors.setdefault(key, name)

    def _module(
        self, name: str, module: torch.nn.Module, depth: int, escape: tuple[type, str] | None
    ) -> Iterator[tuple[str, Any, int, tuple[type, str] | None]]:
        here: dict[int, Name] = {}
        for path, part in torch.nn.Module.named_modules(module, remove_duplicate=False):
            full = _joined(name, path) if path else name
            self._found.modules.setdefault(id(part), (full, part))
            self._seen.add(id(part))
            self._kept.append(part)
            for registered in ("_parameters", "_buffers"):
                for attribute, tensor in part.__dict__.get(registered, {}).items():
                    if tensor is not None:
                        self._parameter(here, _joined(full, attribute), tensor, part, escape)
            if depth < _DEPTH:
                for attribute, value in list(part.__dict__.items()):
                    if attribute not in _PLAIN_ATTRIBUTES and not _is(value, _OPAQUE):
                        yield _joined(full, attribute), value, depth + 1, (type(part), attribute)
        for key, named in here.items():
            self._found.tensors.setdefault(key, named)

    def _parameter(
        self,
        here: dict[int, Name],
        name: str,
        parameter: torch.Tensor,
        owner: torch.nn.Module,
        escape: tuple[type, str] | None,
    ) -> None:
        known = here.get(id(parameter))
        if known is None:
            here[id(parameter)] = Name(name, module=owner, escaped=escape)
        elif name not in known.aliases:
            known.aliases.append(name)


def _is(value: object, kinds: type[_T] | tuple[type[_T], ...]) -> TypeGuard[_T]:
    """``isinstance`` that asks the type only: a proxy may refuse to tell its ``__class__``."""
    return issubclass(type(value), kinds)


def _inside(name: str, value: object) -> Iterator[tuple[str, Any]]:
    if _is(value, dict):
        for index, (key, item) in enumerate(list(value.items())):
            if index >= _WIDTH:
                return
            if isinstance(key, (str, int)):
                yield f"{name}[{key!r}]", item
        return
    if _is(value, (list, tuple, deque)):
        for index, item in enumerate(list(value)[:_WIDTH]):
            yield f"{name}[{index}]", item
        return
    if type(value).__module__.startswith("gradaudit."):
        return  # an audit that a variable holds
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except (AttributeError, TypeError):  # slots, C types, a hostile descriptor
        return
    if type(attributes) is dict:
        owner = type(value).__module__
        library, exchange = _of_a_library(owner), owner.startswith("torch.distributed.")
        for attribute, item in list(attributes.items())[:_WIDTH]:
            if exchange and not _is(item, (torch.nn.Module, Optimizer)):
                continue  # buffers in which processes receive what others send
            if isinstance(attribute, str):
                hidden = library and attribute.startswith("_")
                yield "" if hidden else _joined(name, attribute), item


def _joined(name: str, attribute: str) -> str:
    """A path; behind the private attribute of a library's object it begins anew."""
    return f"{name}.{attribute}" if name else attribute


@functools.cache
def _of_a_library(module: str) -> bool:
    path = getattr(sys.modules.get(module), "__file__", None)
    return path is None or "site-packages" in path or "dist-packages" in path
