"""What becomes of a state when the same thing happens to it over and over.

Of an iteration that is repeated, every number in the ledger either stays as it is or grows by the
same amount each time.  So two pictures of the state, one round apart, tell all that follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from gradaudit.ledger.cohorts import ROUND
from gradaudit.model.events import Event

#: How many rounds are folded before it is tried to do without; then twice as many, and so on.
#: As many as cohorts remember iterations, so that all they remember belongs to the rounds.
_FIRST_TRIAL = ROUND


class Folding(Protocol):
    """Something with a state that folding events changes, most of it in place."""

    state: dict[str, Any]

    def fold(self, events: Iterable[Event]) -> None:
        """Take in events."""


def repeat(folding: Folding, events: Sequence[Event], rounds: int) -> None:
    """Fold so many rounds of the same events, as few of them one by one as possible."""
    done, trial = 0, _FIRST_TRIAL
    while done < rounds:
        if done >= trial and rounds - done > 2:
            trial *= 2
            done += 2
            if _skip(folding, events, rounds - done):
                return
        else:
            folding.fold(events)
            done += 1


def _skip(folding: Folding, events: Sequence[Event], rounds: int) -> bool:
    """Fold two rounds; if the second did what the first one did, do the others by arithmetic."""
    pictures = [picture(folding.state)]
    for _ in range(2):
        folding.fold(events)
        pictures.append(picture(folding.state))
    first, second, third = pictures
    try:
        if grow(picture(second), first, second, 1) != third:
            return False
        grow(picture(third), second, third, rounds)
    except NotLinearError:
        return False
    folding.state = grow(folding.state, second, third, rounds)
    return True


class NotLinearError(Exception):
    """Between two rounds, something other than a number has changed."""


def picture(state: Any) -> Any:  # noqa: ANN401 - any state there is
    """Copy whatever may change in a state, down to its numbers."""
    if isinstance(state, dict):
        return {key: picture(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [picture(value) for value in state]
    if isinstance(state, set):
        return set(state)
    names = _fields(state)
    return {name: picture(getattr(state, name)) for name in names} if names else state


def grow(state: Any, before: Any, after: Any, rounds: int) -> Any:  # noqa: ANN401
    """The state as it will be so many rounds after the later of two pictures of it.

    What can be changed in place is.  Raises :class:`NotLinearError`, with the state half changed,
    if between the pictures it did not change by numbers only.
    """
    if type(before) is not type(after):
        raise NotLinearError
    if isinstance(state, dict):
        return _grow_dict(state, before, after, rounds)
    if isinstance(state, (list, tuple)):
        if len(before) != len(after):
            raise NotLinearError
        values = [grow(*three, rounds) for three in zip(state, before, after, strict=True)]
        if isinstance(state, tuple):
            return tuple(values)
        state[:] = values
        return state
    names = _fields(state)
    if names:
        return _with(
            state,
            {name: grow(getattr(state, name), before[name], after[name], rounds) for name in names},
        )
    if isinstance(state, int) and not isinstance(state, bool):
        return after + rounds * (after - before)
    if before != after:
        raise NotLinearError
    return state


def _grow_dict(
    state: dict[Any, Any], before: dict[Any, Any], after: dict[Any, Any], rounds: int
) -> dict[Any, Any]:
    if len(before) != len(after):
        raise NotLinearError
    keys = list(state)
    if list(before) != keys:  # numbers that name something grow too
        keys = [grow(*three, rounds) for three in zip(keys, before, after, strict=True)]
    values = [
        grow(*three, rounds)
        for three in zip(state.values(), before.values(), after.values(), strict=True)
    ]
    state.clear()
    state.update(zip(keys, values, strict=True))
    return state


def _with(state: Any, values: dict[str, Any]) -> Any:  # noqa: ANN401
    parameters = getattr(state, "__dataclass_params__", None)
    if parameters is not None and parameters.frozen:
        changed = {name: value for name, value in values.items() if getattr(state, name) != value}
        return replace(state, **changed) if changed else state
    for name, value in values.items():
        setattr(state, name, value)
    return state


def _fields(state: Any) -> list[str]:  # noqa: ANN401
    """The attributes of an object of ours; sites are compared by identity, and never change."""
    kind = type(state)
    if not kind.__module__.startswith("gradaudit.") or kind.__name__ == "Site":
        return []
    return [name for each in reversed(kind.__mro__) for name in getattr(each, "__slots__", ())]
