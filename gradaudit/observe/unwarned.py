"""Compiling the user's source again without the warnings that its first compilation has given."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unwarned() -> Iterator[None]:
    """Python warns of nothing, and forgets nothing.

    ``warnings.catch_warnings`` has it forget which warnings were shown, and show them again.
    """
    kept = warnings.filters
    warnings.filters = [("ignore", None, Warning, None, 0)]
    try:
        yield
    finally:
        warnings.filters = kept
