"""How a process that multiprocessing starts comes to be audited.

A forked child has all of this already.  A spawned one has nothing: it unpickles a dict of
preparations before it does anything else, and among these is a ``Pass``, whose unpickling runs
this very file there, by its path, since the child may not be able to import us yet.  So this
module imports nothing of ours until a process is about to train: a DataLoader's worker pays for
no more than one wrapped method.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable
from typing import Any

#: What these run trains nothing: workers that load data, pools, managers.
_ERRANDS = ("torch.utils.data.", "multiprocessing.", "concurrent.futures.")

#: Under which the preparations of a spawned process carry ours.
_KEY = "gradaudit"

#: From a process to what runs it audited: given how to run it, it returns the exit code.
Audit = Callable[[Any, Callable[[], int]], int]


class Pass:
    """Lets a spawned process in: unpickled there, it puts ``ticket`` in force."""

    def __init__(self, ticket: bytes) -> None:
        self._ticket = ticket

    def __reduce__(self) -> tuple[Any, ...]:
        return runpy.run_path, (__file__, {"GRADAUDIT_TICKET": self._ticket}, "gradaudit_boarding")


def audit_processes(audit: Audit, begun: Callable[[], None] = lambda: None) -> None:
    """Run what ``multiprocessing`` starts from here by ``audit``, unless it only runs errands.

    ``begun`` is called where any of these begins.
    """
    from multiprocessing.process import BaseProcess

    original = BaseProcess._bootstrap  # type: ignore[attr-defined]

    def _bootstrap(self: Any, *args: Any, **kwargs: Any) -> int:  # noqa: ANN401 - torch's, and theirs
        begun()
        if _runs_errands(self):
            code: int = original(self, *args, **kwargs)
            return code
        return audit(self, lambda: original(self, *args, **kwargs))

    BaseProcess._bootstrap = _bootstrap  # type: ignore[attr-defined]


def let_spawned_in(ticket: bytes) -> None:
    """Give a pass to every process that is spawned from here."""
    from multiprocessing import spawn

    prepare = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        return {**prepare(name), _KEY: Pass(ticket)}

    spawn.get_preparation_data = get_preparation_data


def _runs_errands(process: Any) -> bool:  # noqa: ANN401 - any process
    runs = getattr(process, "_target", None) or type(process)
    return str(getattr(runs, "__module__", "")).startswith(_ERRANDS)


def _board(ticket: bytes) -> None:
    """In a spawned process: be audited by whoever reads the ticket, once there is need."""

    def audit(process: Any, run: Callable[[], int]) -> int:  # noqa: ANN401
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
        sys.path.append(root)
        try:
            from gradaudit.launch.child import audit_child, read_ticket
        except ImportError as error:
            sys.stderr.write(f"gradaudit: {process.name} is not audited: {error}\n")
            return run()
        finally:
            sys.path.remove(root)
        return audit_child(read_ticket(ticket), process, run)

    # Not before: a main without its guard that starts others fails, with no frame of ours in it.
    audit_processes(audit, begun=lambda: let_spawned_in(ticket))


if __name__ == "gradaudit_boarding":
    _board(GRADAUDIT_TICKET)  # type: ignore[name-defined]  # noqa: F821 - given by runpy
