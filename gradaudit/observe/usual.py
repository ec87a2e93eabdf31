"""What is known of a backward, a step or a clearing to which nothing unheard of has happened.

Each is interned by the watch that makes it: the same from the same point on is one object, and
what would be told of it, one event.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeAlias

from gradaudit.model.events import Event, Members
from gradaudit.observe.beginnings import UnderWay

#: What happens and where: of a backward, a step, a clearing, the end.
Key: TypeAlias = "tuple[Hashable, ...]"

#: What lies between two of these.
Stretch: TypeAlias = "tuple[Key, Key]"


@dataclass(slots=True, eq=False)
class UsualBackward:
    """A backward that comes behind ``before``, where nothing is ever done by hand."""

    before: Key
    key: Key
    under_way: UnderWay
    stretch: Stretch = field(init=False)

    def __post_init__(self) -> None:
        self.stretch = (self.before, self.key)


@dataclass(slots=True, eq=False)
class UsualStep:
    """Likewise a step of ``members``, of which ``present`` have a gradient."""

    before: Key
    key: Key
    number: int
    members: Members
    present: Members
    event: Event


@dataclass(slots=True, eq=False)
class UsualClearing:
    """Likewise a ``zero_grad`` of ``targets`` to None, of which ``held`` have a gradient."""

    before: Key
    key: Key
    targets: Members
    held: Members
    events: tuple[Event, ...]
