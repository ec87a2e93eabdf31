"""The rules as a reader meets them: all of them in a table, or one of them explained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, TextIO

from rich.text import Text

from gradaudit.render.terminal import (
    SEVERITY_COLOURS,
    Paper,
    console_on,
    hanging,
    paper_of,
    put,
)
from gradaudit.rules.lookup import find_rule

if TYPE_CHECKING:
    from gradaudit.rules.rule import AnyRule

_UNWRAPPED = 10_000


def render_rules(stream: TextIO, rules: Sequence[AnyRule] | None = None) -> None:
    """Write the table of all rules: wrapped on a terminal, one line a rule where grep may read."""
    paper = paper_of(stream)
    if not console_on(stream).is_terminal:
        paper = replace(paper, width=_UNWRAPPED)
    put(stream, _table(_all_rules() if rules is None else rules, paper), paper)


def render_explanation(
    code_or_name: str, stream: TextIO, rules: Sequence[AnyRule] | None = None
) -> None:
    """Write the documentation of one rule: set for a terminal, as plain Markdown elsewhere.

    Raises `UnknownRule` when there is no such rule.
    """
    rule = find_rule(code_or_name, _all_rules() if rules is None else rules)
    paper = paper_of(stream)
    if not console_on(stream).is_terminal:
        plain = f"# {_title(rule)}\n\n{rule.summary}\n\n{rule.documentation.strip()}"
        put(stream, [Text(plain)], paper)
        return
    from rich.markdown import Markdown  # slower to import than all the rest of this package

    title = Text(_title(rule), f"bold {SEVERITY_COLOURS[rule.severity]}")
    body = f"{rule.summary}\n\n{rule.documentation}"
    markdown = Markdown(body, code_theme="ansi_dark", hyperlinks=False)
    put(stream, [title, Text(), markdown], paper)


def _all_rules() -> Sequence[AnyRule]:
    from gradaudit.rules.catalogue import RULES

    return RULES


def _table(rules: Sequence[AnyRule], paper: Paper) -> Iterator[Text]:
    longest = max((len(rule.name) for rule in rules), default=0)
    families = groupby(rules, key=lambda rule: rule.family)
    for number, (family, members) in enumerate(families):
        if number:
            yield Text()
        yield Text(family, "bold")
        for rule in members:
            yield from hanging(_lead(rule, longest), rule.summary, paper)


def _lead(rule: AnyRule, longest: int) -> Text:
    severity = (f"{rule.severity:<7}  ", SEVERITY_COLOURS[rule.severity])
    return Text.assemble((f"{rule.code}  ", "bold"), f"{rule.name:<{longest}}  ", severity)


def _title(rule: AnyRule) -> str:
    return f"{rule.code} {rule.name} ({rule.severity})"
