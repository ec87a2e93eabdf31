"""What is known of a backward, a step or a clearing that comes as it came before.

Each is interned by the watch: the same from the same point on is one object, which holds the event
that would be told of it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeAlias

from gradaudit.model.events import Event, Members
from gradaudit.model.sites import Site
from gradaudit.observe.beginnings import UnderWay
from gradaudit.observe.by_hand import Habit

#: What happens and where: of a backward, a step, a clearing, the end.
Key: TypeAlias = "tuple[Hashable, ...]"

#: What lies between two of these.
Stretch: TypeAlias = "tuple[Key, Key]"


@dataclass(slots=True, eq=False)
class UsualBackward:
    """A backward that comes behind ``before``, with the ``habit`` of what is done in between."""

    before: Key
    key: Key
    habit: Habit
    under_way: UnderWay
    stretch: Stretch = field(init=False)

    def __post_init__(self) -> None:
        self.stretch = (self.before, self.key)


@dataclass(slots=True, eq=False)
class UsualStep:
    """Likewise a step of ``members``, of which ``present`` have a gradient."""

    before: Key
    key: Key
    habit: Habit
    site: Site
    number: int
    members: Members
    present: Members
    event: Event


@dataclass(slots=True, eq=False)
class UsualClearing:
    """Likewise a ``zero_grad`` of ``targets`` to None, of which ``held`` have a gradient."""

    before: Key
    key: Key
    habit: Habit
    site: Site
    targets: Members
    held: Members
    events: tuple[Event, ...]
