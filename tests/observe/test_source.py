from __future__ import annotations

import ast
import warnings
from pathlib import Path
from textwrap import dedent

import pytest

from gradaudit.observe.source import LoopRange, SourceBook, SourceFile


@pytest.fixture
def source(tmp_path: Path):
    def write(text: str) -> SourceFile:
        path = tmp_path / f"script{len(list(tmp_path.iterdir()))}.py"
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return SourceFile(str(path))

    return write


def test_lines_are_told_without_their_end(source):
    file = source("a = 1   \nb = 2\n")
    assert file.line(1) == "a = 1   "
    assert file.line(2) == "b = 2"
    assert file.line(3) is None


@pytest.mark.parametrize("text", ["def broken(:\n", "x = '\n", "\0\n"])
def test_what_is_not_python_is_an_empty_file(source, text: str):
    file = source(text)
    assert file.tree.body == []
    assert file.loops_around(1) == ()
    assert file.call_subject(1, "backward") is None


def test_reading_a_file_again_warns_of_nothing(source, recwarn):
    file = source("pattern = '\\d'\n")
    warnings.simplefilter("always")
    assert len(file.tree.body) == 1
    assert recwarn.list == []


def test_reading_a_file_leaves_python_its_memory_of_warnings(source, recwarn):
    warnings.simplefilter("default")
    for _ in range(2):
        warnings.warn("once", stacklevel=1)
        assert source("x = 1\n").tree.body
    assert len(recwarn.list) == 1


def test_a_file_that_is_not_there_is_an_empty_file(tmp_path: Path):
    file = SourceFile(str(tmp_path / "nowhere.py"))
    assert file.line(1) is None
    assert file.tree.body == []


def test_a_book_reads_each_file_once():
    book = SourceBook()
    assert book["a.py"] is book["a.py"]
    assert book["a.py"] is not book["b.py"]


LOOPS = """
    for epoch in range(3):
        for x in loader:
            while busy:
                train(x)
        validate()
    print("done")
"""


def test_loops_around_a_line_are_told_from_the_outermost(source):
    file = source(LOOPS)
    assert file.loops_around(4) == (LoopRange(1, 5), LoopRange(2, 4), LoopRange(3, 4))
    assert file.loops_around(5) == (LoopRange(1, 5),)
    assert file.loops_around(6) == ()


def test_the_header_is_not_in_its_own_loop(source):
    file = source(LOOPS)
    assert file.loops_around(2) == (LoopRange(1, 5),)
    assert file.loop_at_header(2) == LoopRange(2, 4)
    assert file.loop_at_header(4) is None


def test_a_loop_around_a_definition_does_not_run_its_body(source):
    file = source("""
        for lr in rates:
            def step():
                loss.backward()
                for p in parameters:
                    p.step()
            step()
    """)
    assert file.loops_around(3) == ()
    assert file.loops_around(5) == (LoopRange(4, 5),)
    assert file.loops_around(6) == (LoopRange(1, 6),)


def test_async_loops_count(source):
    file = source("""
        async def main():
            async for x in stream:
                train(x)
    """)
    assert file.loops_around(3) == (LoopRange(2, 3),)


def test_the_attributes_on_a_line_are_found(source):
    file = source("total = a.grad + net.b.grad\n")
    found = file.attributes(1, "grad")
    assert {ast.unparse(each.value) for each in found} == {"a", "net.b"}
    assert file.attributes(1, "data") == []
    assert file.attributes(2, "grad") == []


@pytest.mark.parametrize(
    ("line", "subject"),
    [
        ("loss.backward()", "loss"),
        ("(a + b).sum().backward()", "(a + b).sum()"),
        ("accelerator.backward(loss)", "loss"),
        ("scaler.scale(loss).backward()", "scaler.scale(loss)"),
        ("loss.backward(retain_graph=True)", "loss"),
        ("backward()", None),
        ("loss.forward()", None),
    ],
)
def test_what_a_backward_is_called_on(source, line: str, subject: str | None):
    assert source(line + "\n").call_subject(1, "backward") == subject


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("loss = f(x)", "loss"),
        ("self.w = f(x)", "self.w"),
        ("a, b = f(x)", None),
        ("a = b = f(x)", None),
        ("f(x)", None),
    ],
)
def test_the_name_that_an_assignment_binds(source, line: str, name: str | None):
    assert source(line + "\n").assigned_name(1) == name


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        ("w.grad is None", True),
        ("w.grad is not None", True),
        ("None is w.grad", True),
        ("w.grad == None", True),
        ("x = 1 if w.grad else 0", True),
        ("assert w.grad", True),
        ("not w.grad", True),
        ("ok = w.grad and w", True),
        ("hasattr(w.grad, 'data')", True),
        ("isinstance(w.grad, Tensor)", True),
        ("[p for p in ps if w.grad]", True),
        ("while w.grad: pass", True),
        ("if w.grad: pass", True),
        ("print(w.grad)", False),
        ("w.grad.norm() == 0", False),
        ("w.grad == 0", False),
        ("w.data -= w.grad", False),
        ("g = w.grad", False),
        ("if w.grad.norm() is not None: pass", False),
    ],
)
def test_asking_for_none_is_told_from_reading(source, line: str, asks: bool):
    file = source(line + "\n")
    (read,) = file.attributes(1, "grad")
    assert file.asks_for_none(read) is asks


def test_loop_targets_are_the_names_loops_bind(source):
    file = source("""
        for i, (x, y) in enumerate(loader):
            names = [p.grad for p in net]
        for item in rest: pass
    """)
    assert file.loop_targets == {"i", "x", "y", "item"}
    assert file.loop_targets_at(2) == {"i", "x", "y", "p"}
    assert file.loop_targets_at(3) == {"item"}


def test_a_loop_with_a_backward_goes_through_batches(source):
    file = source("""
        for x, y in loader:
            accelerator.backward(loss(x, y))
            for p in net: p.grad
    """)
    assert file.loop_targets_at(3) == {"p"}


GRAD_MODES = """
    @torch.no_grad()
    def evaluate(net):
        return net(x)

    def train():
        with open(path) as file, torch.set_grad_enabled(False):
            with no_grad():
                a = net(x)
            b = net(x)
        with open(path):
            c = net(x)
        return c

    @torch.inference_mode
    async def answer():
        return net(x)

    @functools.cache
    def plain():
        return net(x)
"""


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (3, "torch.no_grad()"),
        (8, "no_grad()"),
        (9, "torch.set_grad_enabled(False)"),
        (11, None),
        (12, None),
        (16, "torch.inference_mode"),
        (20, None),
        (40, None),
    ],
)
def test_the_block_that_sets_grad_mode(source, line: int, text: str | None):
    file = source(GRAD_MODES)
    found = file.grad_mode_block(line)
    if text is None:
        assert found is None
    else:
        assert found is not None
        shown = file.line(found.line)
        assert shown is not None
        assert shown[found.column - 1 : found.end_column - 1] == text


@pytest.mark.parametrize(
    ("line", "at"), [(1, 1), (2, 1), (14, 14), (15, 14), (5, None), (18, None), (19, None)]
)
def test_the_decorator_of_a_function_by_either_of_its_first_lines(
    source, line: int, at: int | None
):
    found = source(GRAD_MODES).decorator(line)
    assert (None if found is None else found.line) == at


def test_statements_that_leave_grad_mode_off(source):
    file = source("""
        torch.set_grad_enabled(False)
        torch.set_grad_enabled(True)
        with torch.set_grad_enabled(False):
            set_grad_enabled(False)
    """)
    assert [text.line for text in file.switches_off()] == [1, 4]


def test_assignments_to_self(source):
    file = source("""
        class Net:
            def __init__(self):
                self.layers = [a, b]
                self.head: Linear = c
                other.tail = d
                self.layers = []
    """)
    layers = file.assignment_to_self("layers")
    assert layers is not None
    assert (layers.line, layers.column, layers.end_column) == (3, 9, 29)
    head = file.assignment_to_self("head")
    assert head is not None
    assert head.line == 4
    assert file.assignment_to_self("tail") is None
    assert file.assignment_to_self("none") is None


def test_attribute_assignments_are_told_with_their_text(source):
    file = source("net.require_grad = True\nnet.fc.requires_grad = False\nnet.other = 1\n")
    found = file.attribute_assignment(frozenset({"require_grad", "requires_grad"}))
    assert [(text, place.line) for text, place in found] == [
        ("net.require_grad", 1),
        ("net.fc.requires_grad", 2),
    ]


def test_an_assignment_is_looked_for_in_one_function(source):
    file = source("""
        class First:
            def __init__(self):
                self.head = 1

        class Second:
            @decorated
            def __init__(self):
                self.head = 2
    """)
    assert file.assignment_to_self("head").line == 3
    for first_line in (6, 7):  # with the decorator, as Python 3.8 to 3.14 count, and without
        inside = file.function_at(first_line)
        assert file.assignment_to_self("head", inside).line == 8
    assert file.assignment_to_self("head", file.function_at(99)) is None


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("if step < start:\n    h = h.detach()", 2, True),
        ("if self.num_updates <= self.freeze:\n    h = h.detach()", 2, True),
        ("for i in range(9):\n    if i > 3:\n        h = h.detach()", 3, True),
        ("thawed = epoch >= 3\nwith off() if not thawed else on():\n    h = net(x)", 2, True),
        ("torch.set_grad_enabled(epoch >= 3)", 1, True),
        ("h = h.detach() if epoch < 3 else h", 1, True),
        ("if len(h) > 2:\n    h = h.detach()", 2, False),
        ("for x in data:\n    if x.ndim > 2:\n        h = x.detach()", 3, False),
        ("if step < start:\n    log()\nh = h.detach()", 3, False),
        ("if step == 0 or log:\n    h = h.detach()", 2, False),
        ("torch.set_grad_enabled(False)", 1, False),
    ],
)
def test_what_depends_on_the_progress_of_training_is_on_schedule(source, text, line, expected):
    assert source(text).on_schedule(line) is expected
