"""What processes send to each other holds no function mode; in a world of one."""

from __future__ import annotations

import sys
import time

import pytest
import torch
from torch import distributed
from torch.overrides import (
    TorchFunctionMode,
    _get_current_function_mode,
    _pop_mode,
    _push_mode,
)

from gradaudit.observe.groups import send_no_mode
from gradaudit.observe.patches import Patches


class Mode(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


@pytest.fixture
def world(tmp_path):
    distributed.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    yield distributed.distributed_c10d._get_default_group()
    distributed.destroy_process_group()


@pytest.fixture
def patches():
    ours = Patches()
    yield ours
    ours.undo()


#: Ours for good: who lets go of a tensor last needs the GIL, and the group waits for that thread.
SENT = torch.ones(2)

BEGIN = {
    "barrier": lambda _: distributed.barrier(async_op=True),
    "all_reduce": lambda _: distributed.all_reduce(SENT, async_op=True),
    "method of a group": lambda group: group.allreduce([SENT]),
    "method of a backend": lambda group: group._get_backend(torch.device("cpu")).broadcast(
        [SENT], distributed.BroadcastOptions()
    ),
}


def held(begin, group) -> int:
    """How often work holds the mode that was on when it was begun, and is off by now."""
    mode = Mode()
    before = sys.getrefcount(mode)
    _push_mode(mode)
    work = begin(group)
    _pop_mode()
    after = sys.getrefcount(mode)
    work.wait()
    del work
    for _ in range(500):  # the thread that lets go of it needs the GIL, and the group ends with it
        if sys.getrefcount(mode) == before:
            break
        time.sleep(0.01)
    return after - before


@pytest.mark.parametrize("begin", BEGIN.values(), ids=BEGIN)
def test_work_holds_no_mode(world, patches, begin):
    off = []

    def pause() -> None:  # `all_reduce` is seen by the mode itself, which then is off already
        off.extend([_pop_mode()] if _get_current_function_mode() else [])

    def go_on() -> None:
        while off:
            _push_mode(off.pop())

    send_no_mode(patches, pause, go_on)
    assert held(begin, world) == 0


@pytest.mark.skipif(torch.__version__ < (2, 13), reason="in a world of one, torch 2.4 holds none")
def test_else_it_would(world):
    # work may be over, and forgotten, before anybody can look
    assert any(held(BEGIN["method of a backend"], world) for _ in range(100))


def test_the_mode_is_back_when_work_could_not_be_begun(world, patches):
    paused = []
    send_no_mode(patches, lambda: paused.append("pause"), lambda: paused.append("go on"))
    with pytest.raises(TypeError):
        world.allreduce("nothing to reduce")
    assert paused == ["pause", "go on"]
