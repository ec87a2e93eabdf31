"""Room for the audit's own frames on a stack that the script has filled.

A script may recurse until Python stops it, and go on.  What it calls at the bottom is looked at
like anything else: a few of our frames above its last one are no fault of the audit.
"""

from __future__ import annotations

import sys

#: More frames than the audit needs above one of the script's.
_FRAMES = 200

#: Where limits end: C's int.
_HIGHEST = 2**31 - 1


class Headroom:
    """A context in which Python's recursion limit is a little farther away.

    Where not even its own frame fits it raises ``RecursionError``, as the script's next call would.
    """

    __slots__ = ("_limit",)

    def __enter__(self) -> None:
        self._limit = limit = sys.getrecursionlimit()
        sys.setrecursionlimit(limit)  # refused where the way back would be
        sys.setrecursionlimit(min(limit + _FRAMES, _HIGHEST))

    def __exit__(self, *_: object) -> None:
        sys.setrecursionlimit(self._limit)
