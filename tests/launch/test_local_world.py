"""Who is the last rank on a machine, and who has died."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gradaudit.launch.local_world import LocalWorld

TOLD = {"RANK": "4", "WORLD_SIZE": "8", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}


def world(directory: Path, **told: str) -> LocalWorld:
    found = LocalWorld.of({**TOLD, **told}, "python")
    assert found is not None
    return replace(found, parts=replace(found.parts, directory=directory / "parts"))


def neighbour(directory: Path, then: Callable[[LocalWorld], None]) -> int:
    """Let another process join as local rank 1, and do something; its number."""
    child = os.fork()
    if child == 0:
        try:
            then(world(directory, RANK="5", LOCAL_RANK="1"))
        finally:
            os._exit(0)
    return child


def until(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


def stay(rank: LocalWorld) -> None:
    rank.join()
    time.sleep(600)


@pytest.mark.parametrize(
    "told", [{"RANK": ""}, {"LOCAL_WORLD_SIZE": "1"}, {"LOCAL_RANK": "-1"}, {"WORLD_SIZE": "two"}]
)
def test_whoever_has_no_neighbours_is_in_no_world(told):
    assert LocalWorld.of({**TOLD, **told}, "python") is None
    assert LocalWorld.of({}, "python") is None


def test_a_neighbour_that_has_not_begun_is_waited_for_by_nobody_but_is_not_passed_over(tmp_path):
    own = world(tmp_path)
    own.join()
    with own.alone():
        assert not own.is_last()
    late = replace(own, _began=time.monotonic() - 3600)
    with late.alone():
        assert late.is_last()


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_neighbour_lives_until_it_is_killed(tmp_path, signum):
    own = world(tmp_path)
    own.join()
    child = neighbour(tmp_path, stay)
    try:
        assert until((tmp_path / "parts" / "1.life").exists)
        assert until(lambda: not own.is_last())  # it is there a moment before it is locked
    finally:
        os.kill(child, signum)
    assert until(own.is_last)  # before anybody has asked for its exit code
    os.waitpid(child, 0)


def test_a_neighbour_that_has_left_is_gone_though_it_still_runs(tmp_path):
    def leave(rank: LocalWorld) -> None:
        rank.join()
        with rank.alone():
            rank.leave()
        time.sleep(600)

    own = world(tmp_path)
    own.join()
    child = neighbour(tmp_path, leave)
    try:
        assert until(lambda: (tmp_path / "parts" / "1.life").exists() and own.is_last())
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_what_a_rank_of_an_earlier_launch_has_left_is_no_part_of_this_one(tmp_path):
    own = world(tmp_path)
    own.join()
    stale, other = (own.parts.directory / f"{name}.json" for name in ("000004-000001", "000005"))
    stale.touch()
    other.touch()
    world(tmp_path).join()
    assert (stale.exists(), other.exists()) == (False, True)
