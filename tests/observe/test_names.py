from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from gradaudit.observe.names import Found, scopes, search
from gradaudit.observe.source import SourceBook


def found(variables: Mapping[str, Any], loop_targets: frozenset[str] = frozenset()) -> Found:
    return search([(variables, loop_targets)])


def name(result: Found, tensor: torch.Tensor) -> str | None:
    known = result.tensors.get(id(tensor))
    return None if known is None else known.text


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 1)))


def test_nested_modules():
    model = net()
    result = found({"net": model})
    assert [name(result, parameter) for parameter in model.parameters()] == [
        "net.0.weight",
        "net.0.bias",
        "net.1.0.weight",
        "net.1.0.bias",
    ]
    assert result.modules[id(model[1][0])][0] == "net.1.0"


def test_plain_tensors():
    w = torch.ones(1)
    assert name(found({"w": w}), w) == "w"


def test_trainer_objects():
    class Trainer:
        def __init__(self) -> None:
            self.model = net()
            self.state = SimpleNamespace(delta=torch.ones(1))

    trainer = Trainer()
    result = found({"trainer": trainer})
    assert name(result, trainer.model[0].weight) == "trainer.model.0.weight"
    assert name(result, trainer.state.delta) == "trainer.state.delta"


@pytest.mark.parametrize("container", [list, tuple, deque])
def test_sequences(container: type):
    tensors = [torch.ones(1) for _ in range(3)]
    assert name(found({"ws": container(tensors)}), tensors[2]) == "ws[2]"


def test_dicts_of_modules_and_tensors():
    parameters = {"w": torch.ones(1), 7: torch.ones(1), "net": net()}
    result = found({"parameters": parameters})
    assert name(result, parameters["w"]) == "parameters['w']"
    assert name(result, parameters[7]) == "parameters[7]"
    assert name(result, parameters["net"][0].bias) == "parameters['net'].0.bias"


def test_tied_weights_have_one_name_and_aliases():
    model = nn.ModuleDict({"embedding": nn.Embedding(4, 2), "decoder": nn.Linear(2, 4)})
    model["decoder"].weight = model["embedding"].weight
    known = found({"model": model}).tensors[id(model["embedding"].weight)]
    assert known.text == "model.embedding.weight"
    assert known.aliases == ["model.decoder.weight"]
    assert known.module is model["embedding"]


def test_a_module_registered_twice_gives_its_parameters_aliases():
    block = nn.Linear(2, 2)
    known = found({"model": nn.Sequential(block, block)}).tensors[id(block.weight)]
    assert (known.text, known.aliases) == ("model.0.weight", ["model.1.weight"])


def test_optimizers_wherever_they_are():
    w = torch.ones(1, requires_grad=True)
    here, there = torch.optim.SGD([w], lr=1), torch.optim.SGD([w], lr=1)
    result = found({"optimizer": here, "trainer": SimpleNamespace(optimizers=[there])})
    assert result.optimizers == {id(here): "optimizer", id(there): "trainer.optimizers[0]"}


def test_optimizers_in_a_private_list_of_a_librarys_object_are_its_optimizers():
    class Strategy:
        __module__ = "pytest"  # any library

        def __init__(self) -> None:
            self._optimizers = [torch.optim.SGD([torch.ones(1)]) for _ in range(2)]

    strategy = Strategy()
    names = found({"strategy": strategy}).optimizers
    told = [names[id(optimizer)] for optimizer in strategy._optimizers]
    assert told == ["optimizers[0]", "optimizers[1]"]


def test_the_shortest_way_wins():
    w = torch.ones(1)
    assert name(found({"config": {"deep": {"w": w}}, "w": w}), w) == "w"
    assert name(found({"w": w, "config": {"deep": {"w": w}}}), w) == "w"


def test_the_outermost_scope_wins():
    model = net()
    result = search([({"model": model}, frozenset()), ({"network": model}, frozenset())])
    assert name(result, model[0].weight) == "model.0.weight"


def test_self_comes_last():
    model = net()
    assert name(found({"self": model, "model": model}), model[0].weight) == "model.0.weight"
    assert name(found({"self": model}), model[0].weight) == "self.0.weight"


def test_a_place_in_a_list_comes_behind_every_other_name():
    model, extra = nn.Linear(2, 1), torch.zeros(1)
    trainer = SimpleNamespace(model=model)
    result = found({"params": [*model.parameters(), extra], "self": trainer})
    names = [name(result, each) for each in (model.weight, model.bias, extra)]
    assert names == ["self.model.weight", "self.model.bias", "params[2]"]


def test_loop_targets_that_hold_a_tensor_come_last():
    w = torch.ones(1)
    targets = frozenset({"p"})
    assert name(found({"p": w, "weights": [w]}, targets), w) == "weights[0]"
    assert name(found({"p": w}, targets), w) == "p"


def test_what_a_list_hides_from_its_module_has_escaped():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(2, 1)
            self.layers = [nn.Linear(2, 2)]
            self.scale = torch.ones(1, requires_grad=True)

    model = Net()
    result = found({"net": model})
    hidden = result.tensors[id(model.layers[0].weight)]
    assert (hidden.text, hidden.escaped) == ("net.layers[0].weight", (Net, "layers"))
    assert result.tensors[id(model.scale)].escaped == (Net, "scale")
    assert result.tensors[id(model.head.weight)].escaped is None


def test_cycles_end():
    ring: list[object] = [torch.ones(1)]
    ring.append(ring)
    holder = SimpleNamespace(ring=ring)
    holder.itself = holder
    assert name(found({"holder": holder}), ring[0]) == "holder.ring[0]"  # type: ignore[arg-type]


def test_what_is_too_deep_or_too_wide_is_left_alone():
    deep: object = (bottom := torch.ones(1))
    for _ in range(20):
        deep = [deep]
    wide = [torch.ones(1) for _ in range(400)]
    result = found({"deep": deep, "wide": wide})
    assert name(result, bottom) is None
    assert name(result, wide[0]) == "wide[0]"
    assert name(result, wide[399]) is None


def test_a_search_of_a_huge_heap_comes_to_an_end():
    rows = [[[] for _ in range(250)] for _ in range(250)]
    w = torch.ones(1)
    result = found({"w": w, "rows": rows})
    assert name(result, w) == "w"


def test_modules_functions_and_dunders_are_not_entered():
    w = torch.ones(1)

    def function() -> None:
        raise NotImplementedError

    function.w = w  # type: ignore[attr-defined]
    assert name(found({"function": function, "torch": torch, "__hidden__": w}), w) is None


def refuse(*_: object) -> Any:
    raise RuntimeError("hands off")


class Hostile:
    """Raises at whatever a search might do with it, except to ask for its class."""

    __getattr__ = __eq__ = __repr__ = __str__ = __hash__ = __bool__ = refuse
    __len__ = __iter__ = __getitem__ = __contains__ = __setattr__ = __delattr__ = refuse


class Unbound:
    """A proxy outside of its context: even its class is not to be had."""

    __getattribute__ = refuse


def holding(kind: type, **attributes: object) -> object:
    made = object.__new__(kind)
    object.__getattribute__(made, "__dict__").update(attributes)
    return made


def test_hostile_objects_are_looked_into_without_a_word_to_them():
    w = torch.ones(1)
    assert name(found({"proxy": holding(Hostile, w=w)}), w) == "proxy.w"


@pytest.mark.parametrize("where", ["variable", "list", "attribute"])
def test_hostile_objects_anywhere_hide_nothing_else(where: str):
    proxy = holding(Hostile)
    places = {
        "variable": proxy,
        "list": [proxy],
        "attribute": SimpleNamespace(proxy=proxy),
    }
    model, w = net(), torch.ones(1)
    model.proxy = proxy
    result = found({"proxy": places[where], "net": model, "w": w})
    assert name(result, w) == "w"
    assert name(result, model[0].weight) == "net.0.weight"


@pytest.mark.parametrize("where", ["variable", "list"])
def test_a_proxy_that_refuses_its_class_hides_nothing_else(where: str):
    proxy = holding(Unbound)
    w = torch.ones(1)
    assert name(found({"proxy": proxy if where == "variable" else [proxy], "w": w}), w) == "w"


def test_slots_and_c_types_have_nothing_to_look_into():
    class Slotted:
        __slots__ = ("w",)

    slotted = Slotted()
    slotted.w = torch.ones(1)  # type: ignore[attr-defined]
    after = torch.ones(1)
    result = found({"slotted": slotted, "lock": object(), "w": after})
    assert name(result, slotted.w) is None  # type: ignore[attr-defined]
    assert name(result, after) == "w"


def test_descriptors_are_not_run():
    class Lazy:
        def __init__(self) -> None:
            self.w = torch.ones(1)

        @property
        def model(self) -> object:
            raise RuntimeError("not yet")

    lazy = Lazy()
    assert name(found({"lazy": lazy}), lazy.w) == "lazy.w"


def test_nothing_is_written_and_no_gradient_is_lost():
    model = net()
    model(torch.ones(1, 2)).sum().backward()
    before = [(id(p.grad), p._version) for p in model.parameters()]
    keys = set(model.__dict__)
    found({"net": model})
    assert [(id(p.grad), p._version) for p in model.parameters()] == before
    assert set(model.__dict__) == keys


def test_scopes_are_told_from_the_outermost_with_their_loop_targets(tmp_path: Path):
    path = tmp_path / "script.py"
    path.write_text("for p in range(1):\n    pass\n", encoding="utf-8")
    outer = {"model": 1, "__name__": "outer"}
    code = compile(
        "def train():\n    w = 2\n    return look()\nfor p in [1]: got = train()\n",
        str(path),
        "exec",
    )

    def look() -> object:
        frame = sys._getframe(1)
        return scopes([frame, frame.f_back], SourceBook())

    outer["look"] = look  # type: ignore[assignment]
    exec(code, outer)  # noqa: S102
    places = [
        (variables, targets)
        for variables, targets in outer["got"]  # type: ignore[attr-defined]
        if variables is outer or variables.get("w") == 2
    ]
    assert [sorted(targets) for _, targets in places] == [["p"], ["p"]]
    assert places[0][0] is outer
    assert places[1][0] == {"w": 2}


def test_what_processes_receive_into_has_no_name_and_modules_have():
    class Stage:
        pass

    Stage.__module__ = "torch.distributed.pipelining.stage"
    stage = Stage()
    stage.buffer, stage.part = torch.ones(1), net()
    result = found({"stage": stage})
    assert name(result, stage.buffer) is None
    assert name(result, stage.part[0].weight) == "stage.part.0.weight"
