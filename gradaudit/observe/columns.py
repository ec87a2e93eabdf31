"""Which of several expressions on a line an instruction comes from, where code keeps no columns.

Before Python 3.11 code knows the line of an instruction and no more.  So the file is compiled once
more, with each of the expressions on a line of its own beyond the last one.  If the same code
comes out, its table of lines tells the expression.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from types import CodeType
from typing import TypeVar

from gradaudit.observe.unwarned import unwarned

Expression = TypeVar("Expression", bound=ast.expr)

#: Beyond the last line of any file.
_BEYOND = 10_000_000


def told_apart(
    tree: ast.Module, expressions: Sequence[Expression], code: CodeType, lasti: int
) -> Expression | None:
    """The one of the expressions in a file that an instruction comes from, if it is certain."""
    places = [(each, each.lineno, each.end_lineno) for each in expressions]
    try:
        for index, each in enumerate(expressions):
            each.lineno = each.end_lineno = _BEYOND + index
        with unwarned():
            compiled = compile(tree, code.co_filename, "exec", dont_inherit=True)
    finally:
        for each, line, end_line in places:
            each.lineno, each.end_lineno = line, end_line
    lines = {_line_of(twin, lasti) for twin in _all(compiled) if _same(twin, code)}
    found = [each for index, each in enumerate(expressions) if _BEYOND + index in lines]
    return found[0] if len(found) == 1 else None


def _all(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _all(constant)


def _same(twin: CodeType, code: CodeType) -> bool:
    return (twin.co_name, twin.co_firstlineno, twin.co_code) == (
        code.co_name,
        code.co_firstlineno,
        code.co_code,
    )


def _line_of(code: CodeType, lasti: int) -> int | None:
    return next((line for start, end, line in code.co_lines() if start <= lasti < end), None)
