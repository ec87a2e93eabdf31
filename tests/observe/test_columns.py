from __future__ import annotations

import ast
import sys

import pytest

from gradaudit.observe.columns import told_apart


class Held:
    """Has a ``grad`` that notes who reads it."""

    def __init__(self, grad):
        self.kept = grad
        self.read_at = None

    @property
    def grad(self):
        frame = sys._getframe(1)
        self.read_at = frame.f_code, frame.f_lasti
        return self.kept


def subjects(text: str, *names: str, **values: object) -> list[str | None]:
    """What the instructions that read the ``grad`` of some variables are found to read it of."""
    held = {name: Held(values.get(name)) for name in names}
    exec(compile(text, "script.py", "exec"), dict(held))  # noqa: S102 - the text above
    tree = ast.parse(text)
    reads = [
        node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "grad"
    ]
    before = ast.dump(tree, include_attributes=True)
    found = [told_apart(tree, reads, *held[name].read_at) for name in names]
    assert ast.dump(tree, include_attributes=True) == before
    return [None if each is None else ast.unparse(each.value) for each in found]


@pytest.mark.parametrize(
    "text",
    [
        "print(a.grad, b.grad, file=__import__('io').StringIO())",
        "x = b.grad if a.grad is None else 0",
        pytest.param(
            "x = [b.grad for _ in range(2) if a.grad is None]",
            marks=pytest.mark.skipif(
                sys.version_info >= (3, 12),
                reason="the code around an inlined comprehension depends on its lines",
            ),
        ),
        "x = {a.grad: b.grad}",
        "x = a.grad is not None or b.grad",
        "def f():\n    return (lambda: a.grad)(), b.grad\nf()",
        "try:\n    a.grad.clone()\nexcept AttributeError: b.grad",
        "for each in (a, b): each.grad, a.grad, b.grad",
    ],
)
def test_the_expression_of_an_instruction_is_found(text: str):
    assert subjects(text, "a", "b") == ["a", "b"]


def test_nothing_is_said_of_code_from_another_text():
    tree = ast.parse("a.grad, b.grad, a")
    reads = [
        node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "grad"
    ]
    other = compile("a.grad, b.grad", "script.py", "exec")
    assert all(told_apart(tree, reads, other, lasti) is None for lasti in range(0, 10, 2))


def test_compiling_again_warns_of_nothing():
    with pytest.warns(SyntaxWarning) as warned:
        assert subjects("a.grad, b.grad, 1 is 1", "a", "b") == ["a", "b"]
    assert len(warned) == 1
