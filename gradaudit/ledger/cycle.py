"""Where one training iteration ends and the next begins.

An iteration is an update cycle: everything up to the point where the program begins to do again
what it had done before its last step.  A GAN's two steps are one cycle, a window of gradient
accumulation is one cycle, and a closure that an optimizer calls twenty times is one cycle.
"""

from __future__ import annotations

from collections.abc import Hashable


class Cycle:
    """Recognises the beginning of a new iteration from the sequence of (what, where) keys.

    Without any step or update by hand, every return to a backward begins an iteration, as long as
    no optimizer is known that could still step; the first step takes such a guess back.
    """

    __slots__ = ("_current", "_settled", "index", "stepped")

    def __init__(self) -> None:
        self.index = 0
        self.stepped = False
        self._current: set[Hashable] = set()
        self._settled: set[Hashable] = set()

    def begins_anew(self, key: Hashable) -> bool:
        """Whether the event ``key`` belongs to a new iteration."""
        return key in self._settled

    def repeats(self, key: Hashable) -> bool:
        """Whether ``key`` was seen in this iteration already, stepped or not."""
        return key in self._current or key in self._settled

    def advance(self) -> None:
        """Begin the next iteration."""
        self.index += 1
        self._current = set()
        self._settled = set()

    def note(self, key: Hashable) -> None:
        """Take ``key`` into the current iteration."""
        self._current.add(key)

    def settle(self) -> None:
        """A step: whatever was seen until now will, when seen again, begin a new iteration."""
        self._settled |= self._current
        self._current = set()

    def restart(self) -> None:
        """Take back the iterations that were guessed before the first step."""
        self.index = 0
