"""``os._exit``, but not without a report.

Scripts call it to leave past threads or libraries that hang.  Nothing runs after it, so the report
is written in it.  Forked workers leave by it too: ``close`` knows them, and lets them pass.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import NoReturn


def report_before_exit(close: Callable[[int], int]) -> None:
    """Replace ``os._exit``; ``close`` takes the code asked for and returns the one to leave by."""
    leave = os._exit

    @wraps(leave)
    def _exit(status: int) -> NoReturn:
        leave(close(status))

    os._exit = _exit
