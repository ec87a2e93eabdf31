"""When what was seen is saved, for the case that the process is killed."""

from __future__ import annotations

from contextlib import suppress

import pytest

from gradaudit.launch.checkpoints import Checkpoints


class Run:
    """A run of steps of a tenth of a second each, by a clock of its own."""

    def __init__(self, cost: float = 0.0) -> None:
        self.now = 100.0
        self.saved: list[float] = []
        self.cost = cost
        self.checkpoints = Checkpoints(self._save, lambda: self.now)

    def _save(self) -> None:
        self.saved.append(self.now - 100)
        self.now += self.cost

    def go_on(self, steps: int) -> list[float]:
        for _ in range(steps):
            self.now += 0.1
            self.checkpoints.consider()
        return self.saved


def test_half_a_run_is_lost_at_most():
    run = Run()
    saved = run.go_on(36_000)
    assert saved[0] == pytest.approx(5, abs=0.2)
    assert len(saved) < 12
    for earlier, later in zip(saved, [*saved[1:], 3600.0], strict=True):
        assert later <= 2 * earlier + 0.2


def test_what_is_dear_to_save_is_saved_more_rarely():
    run = Run(cost=3.0)
    saved = run.go_on(36_000)
    assert 3.0 * len(saved) <= 0.02 * (run.now - 100) + 3.0


def test_saving_that_fails_is_not_tried_again_at_once():
    def fail() -> None:
        tried.append(now[0])
        raise OSError

    now, tried = [0.0], []
    checkpoints = Checkpoints(fail, lambda: now[0])
    for now[0] in (6.0, 6.1, 6.2, 12.5):
        with suppress(OSError):
            checkpoints.consider()
    assert tried == [6.0, 12.5]
