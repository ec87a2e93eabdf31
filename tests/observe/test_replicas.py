"""Which parameters DistributedDataParallel keeps equal on all ranks; in a world of one."""

from __future__ import annotations

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from gradaudit.observe.leaves import Leaves
from gradaudit.observe.replicas import Replicas


@pytest.fixture
def watched(tmp_path):
    """A world, and what is known of it."""
    distributed.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    replicas = Replicas(Leaves(lambda _: None))
    hook = replicas.watch()
    yield replicas
    hook.remove()
    distributed.barrier()
    distributed.destroy_process_group()


def replicated(replicas: Replicas, module: nn.Module) -> dict[str, bool]:
    leaves = replicas._leaves
    known = {name: leaves.learn(each) for name, each in module.named_parameters()}
    replicas.look()
    return {name: leaf.replicated for name, leaf in known.items()}


def test_the_rank_is_asked_for_while_there_is_a_world(watched):
    assert watched.rank is None
    assert not watched.look()
    assert watched.rank == (0, 1)


def test_what_is_wrapped_is_replicated_and_nothing_else(watched):
    inside, outside = nn.Linear(2, 1), nn.Linear(2, 1)
    wrapper = DistributedDataParallel(inside)
    assert replicated(watched, inside) == {"weight": True, "bias": True}
    assert replicated(watched, outside) == {"weight": False, "bias": False}
    assert wrapper.module is inside


def test_what_the_wrapper_ignores_is_not_replicated(watched):
    module = nn.Linear(2, 1)
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(module, ["bias"])
    wrapper = DistributedDataParallel(module)
    assert replicated(watched, wrapper.module) == {"weight": True, "bias": False}


def test_what_a_hook_communicates_need_not_be_equal(watched):
    wrapper = DistributedDataParallel(nn.Linear(2, 1))
    wrapper.register_comm_hook(None, lambda _, bucket: done(bucket.buffer()))
    assert replicated(watched, wrapper.module) == {"weight": False, "bias": False}


def done(value: torch.Tensor) -> torch.futures.Future[torch.Tensor]:
    future: torch.futures.Future[torch.Tensor] = torch.futures.Future()
    future.set_result(value)
    return future


def test_uneven_inputs_are_not_compared(watched):
    wrapper = DistributedDataParallel(nn.Linear(2, 1))
    with wrapper.join():
        assert replicated(watched, wrapper.module) == {"weight": False, "bias": False}


def test_values_are_measured_in_powers_of_two_without_a_trace(watched):
    wrapper = DistributedDataParallel(nn.Linear(2, 1, bias=False))
    replicated(watched, wrapper.module)
    with torch.no_grad():
        wrapper.module.weight.fill_(3.0)
    version = wrapper.module.weight._version
    for iteration in range(6):
        watched.weigh([0], iteration)
    (norms,) = watched.weights().values()
    assert list(norms) == [0, 1, 2, 4]
    assert norms[4] == pytest.approx(18**0.5)
    assert wrapper.module.weight._version == version
