"""Many parameters in few words: "18 parameters under net.encoder"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

#: As many names, or groups of names, as a reader takes in at a glance.
FEW = 3

_Path = tuple[str, ...]

#: What components are divided by: the dots that stand in no key of a dict (``p['fc.weight']``).
_DOT = re.compile(r"\.(?![^\[]*'\])")


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters told together: `count` of the `total` that the report knows under `prefix`."""

    prefix: str
    names: tuple[str, ...]
    total: int

    def told(self, quote: Callable[[str], str] = str) -> str:
        """Tell the group in a few words; `quote` writes names as the reader is used to them."""
        count = len(self.names)
        if count == 1:
            return quote(self.names[0])
        some = f"{count:,}" if count == self.total else f"{count:,} of {self.total:,}"
        under = f" under {quote(self.prefix)}" if self.prefix else ""
        return f"{some} parameters{under}"


def group_parameters(names: Iterable[str], known: Iterable[str] = ()) -> tuple[Group, ...]:
    """Group `names` under the longest dotted prefixes that stand for them and for no others.

    `known` are the names of all parameters.  A few names stay names; where the exact groups would
    be many, their common prefix stands for all of them, with how many of how many they are.
    They are told in the order of `known`, which is that of the model.
    """
    known = tuple(known)
    order = {name: number for number, name in enumerate(known)}
    wanted = tuple(sorted(dict.fromkeys(names), key=lambda name: order.get(name, len(order))))
    if len(wanted) <= FEW:
        return tuple(Group("", (name,), 1) for name in wanted)
    everything = tuple(dict.fromkeys((*wanted, *known)))
    groups = _exact(wanted, everything)
    if len(groups) <= FEW:
        return groups
    prefix = common_prefix(wanted)
    return (Group(".".join(prefix), wanted, len(_under(prefix, everything))),)


def describe_parameters(
    names: Iterable[str], known: Iterable[str] = (), quote: Callable[[str], str] = str
) -> str:
    """Say which parameters in a few words; where a group has no common name, name some of it."""
    groups = group_parameters(names, known)
    text = join_words([group.told(quote) for group in groups])
    if len(groups) == 1 and not groups[0].prefix and len(groups[0].names) > 1:
        return f"{text}, among them {join_words([*map(quote, groups[0].names[:FEW])])}"
    return text


def join_words(words: Sequence[str]) -> str:
    """Join as prose does: "a", "a and b", "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def common_prefix(names: Sequence[str]) -> _Path:
    """Find the longest dotted prefix that all names share, their last component excepted."""
    parents = [_parent(name) for name in names]
    # What the first and the last in order share, all between them share.
    first, last = min(parents), max(parents)
    same = 0
    while same < min(len(first), len(last)) and first[same] == last[same]:
        same += 1
    return first[:same]


def _exact(names: tuple[str, ...], everything: Sequence[str]) -> tuple[Group, ...]:
    """Cover `names` by prefixes below which there is nothing else, as few as possible."""
    if len(names) == 1:
        return (Group("", names, 1),)
    prefix = common_prefix(names)
    known = _under(prefix, everything)
    if len(known) == len(names):
        return (Group(".".join(prefix), names, len(known)),)
    branches: dict[tuple[str, bool], list[str]] = {}
    for name in names:
        path = _DOT.split(name)
        # A parameter may bear the name of a module beside it; they are two branches.
        branch = path[len(prefix)], len(path) == len(prefix) + 1
        branches.setdefault(branch, []).append(name)
    return tuple(group for branch in branches.values() for group in _exact(tuple(branch), known))


def _under(prefix: _Path, names: Iterable[str]) -> tuple[str, ...]:
    start = "".join(f"{component}." for component in prefix)
    return tuple(name for name in names if name.startswith(start))


def _parent(name: str) -> _Path:
    return tuple(_DOT.split(name)[:-1])
