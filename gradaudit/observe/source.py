"""What the user's source text says about a line: loops, statements, decorators.  Pure reading."""

from __future__ import annotations

import ast
import linecache
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeGuard

from gradaudit.observe.unwarned import unwarned

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_Scope = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_Loop = (ast.For, ast.AsyncFor, ast.While)
#: Functions whose argument is asked about rather than used; `exists` is an idiom of many projects.
_ASKING = frozenset(
    {
        "hasattr",
        "isinstance",
        "bool",
        "id",
        "type",
        "exists",
        "is_none",
        "not_none",
        "is_not_none",
    }
)
_BACKWARDS = frozenset({"backward", "manual_backward"})
_GRAD_MODES = frozenset({"no_grad", "inference_mode", "set_grad_enabled"})
_ORDERING = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
#: What variables are called that tell how far a training has come.
_PROGRESS = re.compile(r"step|epoch|iter|update|warm|phase|stage|round|^it$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LoopRange:
    """A loop statement: its first line, its last, and the line its header begins at."""

    line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class Text:
    """A stretch of source: 1-based lines, 1-based columns, the end exclusive."""

    line: int
    end_line: int
    column: int
    end_column: int


def _span(node: ast.expr | ast.stmt) -> Text:
    return Text(
        node.lineno,
        node.end_lineno or node.lineno,
        node.col_offset + 1,
        (node.end_col_offset or node.col_offset) + 1,
    )


class SourceFile:
    """One file of the user's, parsed when first asked; empty if it cannot be read or parsed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._on: dict[int, tuple[ast.stmt | ast.expr, ...]] = {}

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(linecache.getlines(self.path))

    def line(self, number: int) -> str | None:
        """The text of a line, stripped of its end; None beyond the file."""
        text = linecache.getline(self.path, number)
        return text.rstrip("\r\n") if text else None

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree; of an unreadable file, an empty one."""
        try:
            with unwarned():
                return ast.parse(self.text)
        except (SyntaxError, ValueError):  # not Python, or another version's
            return ast.Module(body=[], type_ignores=[])

    @cached_property
    def _nodes(self) -> tuple[ast.AST, ...]:
        return tuple(ast.walk(self.tree))

    @cached_property
    def _loops(self) -> tuple[LoopRange, ...]:
        return tuple(
            LoopRange(node.lineno, node.end_lineno or node.lineno)
            for node in self._nodes
            if isinstance(node, _Loop)
        )

    @cached_property
    def _functions(self) -> tuple[tuple[int, int], ...]:
        return tuple(
            (node.body[0].lineno, node.end_lineno or node.lineno)
            for node in self._nodes
            if isinstance(node, _Function)
        )

    def loops_around(self, line: int) -> tuple[LoopRange, ...]:
        """The loops whose body runs ``line``, outermost first; those outside its function don't."""
        inside = [start for start, end in self._functions if start <= line <= end]
        top = max(inside, default=0)
        around = [
            loop for loop in self._loops if loop.line >= top and loop.line < line <= loop.end_line
        ]
        return tuple(sorted(around, key=lambda loop: loop.line))

    @cached_property
    def _headers(self) -> dict[int, LoopRange]:
        return {loop.line: loop for loop in self._loops}

    def loop_at_header(self, line: int) -> LoopRange | None:
        """The loop that begins at a line."""
        return self._headers.get(line)

    @cached_property
    def _placed(self) -> tuple[tuple[int, int, ast.stmt | ast.expr], ...]:
        """Every node that has a place, with its lines: each new line is looked up in them."""
        return tuple(
            (node.lineno, node.end_lineno or node.lineno, node)
            for node in self._nodes
            if isinstance(node, (ast.stmt, ast.expr))
        )

    def _nodes_on(self, line: int) -> tuple[ast.stmt | ast.expr, ...]:
        known = self._on.get(line)
        if known is None:
            known = tuple(node for start, end, node in self._placed if start <= line <= end)
            self._on[line] = known
        return known

    def attributes(self, line: int, attribute: str) -> list[ast.Attribute]:
        """The expressions ``<subject>.<attribute>`` on a line."""
        return [
            node
            for node in self._nodes_on(line)
            if isinstance(node, ast.Attribute) and node.attr == attribute
        ]

    def call_subject(self, line: int, method: str) -> str | None:
        """What a method is called on, or its first argument where it has one.

        ``"loss"`` for ``loss.backward()``, and for ``accelerator.backward(loss)``.
        """
        for node in self._nodes_on(line):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr != method:
                continue
            subject = node.args[0] if node.args else node.func.value
            return ast.unparse(subject)
        return None

    def assigned_name(self, line: int) -> str | None:
        """The name that the assignment on a line binds, if it binds just one."""
        for node in self._nodes_on(line):
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                target = node.targets[0]
                if isinstance(target, (ast.Name, ast.Attribute)):
                    return ast.unparse(target)
        return None

    def binding(self, name: str, line: int) -> Text | None:
        """The last plain assignment to a variable before a line, in the same function."""
        value = self._bound(name, line)
        return None if value is None else _span(value)

    def _bound(self, name: str, line: int) -> ast.expr | None:
        inside = [start for start, end in self._functions if start <= line <= end]
        top = max(inside, default=0)
        found: ast.Assign | None = None
        for node in self._nodes:
            if (
                isinstance(node, ast.Assign)
                and top <= node.lineno < line
                and any(isinstance(each, ast.Name) and each.id == name for each in node.targets)
                and (found is None or node.lineno > found.lineno)
            ):
                found = node
        return None if found is None else found.value

    def asks_for_none(self, read: ast.Attribute) -> bool:
        """Whether an expression is only asked whether it is None (or true)."""
        for node in self._nodes:
            if isinstance(node, ast.Compare) and any(
                isinstance(op, (ast.Is, ast.IsNot, ast.Eq, ast.NotEq)) for op in node.ops
            ):
                operands = [node.left, *node.comparators]
                if read in operands and any(
                    isinstance(each, ast.Constant) and each.value is None for each in operands
                ):
                    return True
            elif isinstance(node, (ast.If, ast.While, ast.IfExp, ast.Assert)):
                if node.test is read:
                    return True
            elif isinstance(node, ast.BoolOp):
                if read in node.values:
                    return True
            elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
                if node.operand is read:
                    return True
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in _ASKING and read in node.args:
                    return True
            elif isinstance(node, ast.comprehension) and read in node.ifs:
                return True
        return False

    @cached_property
    def loop_targets(self) -> frozenset[str]:
        """Names bound by any ``for`` statement of the file."""
        return frozenset(
            name
            for node in self._nodes
            if isinstance(node, (ast.For, ast.AsyncFor))
            for name in _names(node.target)
        )

    def only_changes(self, read: ast.Attribute) -> bool:
        """Whether an expression is only there to be changed, as in ``x.grad.zero_()``."""
        for node in self._nodes:
            if isinstance(node, ast.AugAssign) and node.target is read:
                return True
            if isinstance(node, ast.Attribute):
                inner = node.value
                if isinstance(inner, ast.Attribute) and inner.attr == "data":
                    inner = inner.value
                if inner is read and node.attr.endswith("_") and not node.attr.endswith("__"):
                    return True
        return False

    def loop_targets_at(self, line: int) -> frozenset[str]:
        """Names bound by the loops and comprehensions around a line that go through many.

        A loop in which a backward is called goes through batches: they are what it is about.
        """
        names: set[str] = set()
        for node in self._nodes_on(line):
            if isinstance(node, (ast.For, ast.AsyncFor)):
                names.update(() if _trains(node) else _names(node.target))
            elif isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
                for part in node.generators:
                    names.update(_names(part.target))
        return frozenset(names)

    def grad_mode_block(self, line: int) -> Text | None:
        """The innermost ``with`` item or decorator around a line that sets grad mode."""
        best: ast.expr | None = None
        for node in self._nodes_on(line):
            candidates: list[ast.expr] = []
            if isinstance(node, (ast.With, ast.AsyncWith)):
                candidates = [item.context_expr for item in node.items]
            elif isinstance(node, _Function):
                candidates = list(node.decorator_list)
            for expression in candidates:
                if _sets_grad_mode(expression) and (
                    best is None or expression.lineno >= best.lineno
                ):
                    best = expression
        return _span(best) if best is not None else None

    def on_schedule(self, line: int) -> bool:
        """Whether a branch that holds a line, or a switch of grad mode on it, asks for progress."""
        asked: list[ast.expr] = []
        for node in self._nodes_on(line):
            if isinstance(node, ast.IfExp) or (isinstance(node, ast.If) and node.lineno < line):
                asked.append(node.test)
            elif isinstance(node, ast.Call) and _sets_grad_mode(node):
                asked += node.args
        return any(self._asks_for_progress(expression, line) for expression in asked)

    def _asks_for_progress(self, expression: ast.expr, line: int) -> bool:
        """Whether a condition compares a counter, itself or by the variable that it is kept in."""
        parts = list(ast.walk(expression))
        for name in [part.id for part in parts if isinstance(part, ast.Name)]:
            value = self._bound(name, line)
            parts += [] if value is None else ast.walk(value)
        return any(
            self._counts(name)
            for part in parts
            if isinstance(part, ast.Compare) and isinstance(part.ops[0], _ORDERING)
            for operand in (part.left, *part.comparators)
            for name in _counters(operand)
        )

    def _counts(self, name: str) -> bool:
        return name in self.loop_targets or _PROGRESS.search(name) is not None

    def decorator(self, function_line: int) -> Text | None:
        """The grad-mode decorator of the function that begins (decorators included) at a line."""
        for node in self._nodes:
            if isinstance(node, _Function) and node.decorator_list:
                first = min(each.lineno for each in node.decorator_list)
                if function_line in (first, node.lineno):
                    for each in node.decorator_list:
                        if _sets_grad_mode(each):
                            return _span(each)
        return None

    def steps_of(self, name: str) -> list[Text]:
        """Every ``….<name>.step(…)`` and ``….step(….<name>)``, and ``….<name>.step`` uncalled."""
        return [
            _span(node)
            for node in self._nodes
            if (
                isinstance(node, ast.Call)
                and _is_step(node.func)
                and any(_last_name(each) == name for each in (node.func.value, *node.args[:1]))
            )
            or (
                isinstance(node, ast.Expr)
                and _is_step(node.value)
                and _last_name(node.value.value) == name
            )
        ]

    def switches_off(self) -> list[Text]:
        """Every statement ``….set_grad_enabled(False)``: it is off until something else is said."""
        return [
            _span(node.value)
            for node in self._nodes
            if isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Call)
            and _last_name(node.value.func) == "set_grad_enabled"
            and any(isinstance(each, ast.Constant) and not each.value for each in node.value.args)
        ]

    def function_at(self, line: int) -> ast.AST:
        """The function that begins (decorators included) at a line; else an empty one."""
        for node in self._nodes:
            if isinstance(node, _Function):
                first = min(each.lineno for each in (node, *node.decorator_list))
                if line in (first, node.lineno):
                    return node
        return ast.Module(body=[], type_ignores=[])

    def assignment_to_self(self, attribute: str, inside: ast.AST | None = None) -> Text | None:
        """Where ``self.<attribute> = …`` (or an annotated one) stands first, in all or a part."""
        for node in self._nodes if inside is None else ast.walk(inside):
            targets: list[ast.expr] = []
            if isinstance(node, ast.Assign):
                targets = node.targets
            elif isinstance(node, ast.AnnAssign):
                targets = [node.target]
            for target in targets:
                if (
                    isinstance(target, ast.Attribute)
                    and target.attr == attribute
                    and isinstance(target.value, ast.Name)
                    and target.value.id == "self"
                    and isinstance(node, ast.stmt)
                ):
                    return _span(node)
        return None

    def attribute_assignment(self, attributes: frozenset[str]) -> list[tuple[str, Text]]:
        """Every ``<subject>.<attribute> = …`` for the attributes given, as (text, place)."""
        return [
            (ast.unparse(target), _span(node))
            for node in self._nodes
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Attribute) and target.attr in attributes
        ]


def _is_step(node: ast.AST) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and node.attr == "step"


def _last_name(expression: ast.expr) -> str | None:
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else None


def _names(target: ast.expr) -> Iterator[str]:
    for node in ast.walk(target):
        if isinstance(node, ast.Name):
            yield node.id


def _trains(loop: ast.For | ast.AsyncFor) -> bool:
    return any(
        isinstance(node, ast.Call) and _last_name(node.func) in _BACKWARDS
        for statement in loop.body
        for node in ast.walk(statement)
    )


def _counters(operand: ast.expr) -> Iterator[str]:
    """The variables of a number that is compared; what is asked of an object is none."""
    if isinstance(operand, ast.Name):
        yield operand.id
    elif isinstance(operand, ast.Attribute):
        yield operand.attr
    elif isinstance(operand, ast.BinOp):
        yield from _counters(operand.left)
        yield from _counters(operand.right)


def _sets_grad_mode(expression: ast.expr) -> bool:
    for node in ast.walk(expression):
        if isinstance(node, ast.Attribute) and node.attr in _GRAD_MODES:
            return True
        if isinstance(node, ast.Name) and node.id in _GRAD_MODES:
            return True
    return False


class SourceBook:
    """The source files of a run, each read once."""

    def __init__(self) -> None:
        self._files: dict[str, SourceFile] = {}

    def __getitem__(self, path: str) -> SourceFile:
        known = self._files.get(path)
        if known is None:
            known = self._files[path] = SourceFile(path)
        return known
