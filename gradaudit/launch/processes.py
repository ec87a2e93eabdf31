"""The processes that the script starts: each is audited, and the parts of those that train read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from gradaudit.launch.assignment import Assignment
from gradaudit.launch.boarding import audit_processes, let_spawned_in
from gradaudit.launch.imports import AfterImport
from gradaudit.launch.parts import Parts


class Processes:
    """What ``multiprocessing`` starts from this process."""

    def __init__(self, assignment: Assignment, parts: Parts, prefix: str = "") -> None:
        self._assignment = assignment
        self._parts = parts
        self._prefix = prefix

    def arm(self) -> None:
        """Wait for the script to import ``multiprocessing``: torch does."""
        for name, callback in self._callbacks():
            if name in sys.modules:
                callback()
            else:
                AfterImport(name, callback).arm()

    def _callbacks(self) -> Iterable[tuple[str, Callable[[], None]]]:
        yield "multiprocessing.process", lambda: audit_processes(self._audit)
        yield "multiprocessing.spawn", lambda: let_spawned_in(self._ticket())

    def _audit(self, process: Any, run: Callable[[], int]) -> int:  # noqa: ANN401 - any process
        from gradaudit.launch.child import Ticket, audit_child

        return audit_child(Ticket(self._assignment, self._parts, self._prefix), process, run)

    def _ticket(self) -> bytes:
        from gradaudit.launch.child import Ticket, write_ticket

        return write_ticket(Ticket(self._assignment, self._parts, self._prefix))
