"""Process groups end without waiting for a function mode of ours.

Whatever is sent between processes keeps the function modes of the moment, and the thread that
carried it out needs the GIL to let go of them.  A group that is destroyed joins that thread with
the GIL held (gloo, torch 2.13): the two would wait for each other for ever.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from torch import distributed

from gradaudit.observe.patches import Patches, without_this_frame

#: Seconds in which threads get the GIL and are done with what they hold.
_A_MOMENT = 0.05


def let_threads_go(patches: Patches, probing: Callable[[], bool]) -> None:
    """While a function mode may be held, give up the GIL for a moment before a group ends."""
    if not distributed.is_available():
        return
    original = distributed.destroy_process_group

    @functools.wraps(original)
    def destroy_process_group(*args: Any, **kwargs: Any) -> None:
        if probing():
            time.sleep(_A_MOMENT)
        try:
            original(*args, **kwargs)
        except BaseException as error:
            without_this_frame(error)
            raise

    patches.replace(distributed, "destroy_process_group", destroy_process_group)
    patches.replace(distributed.distributed_c10d, "destroy_process_group", destroy_process_group)
