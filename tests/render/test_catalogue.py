from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from gradaudit.model.findings import Severity
from gradaudit.render.catalogue import render_explanation, render_rules
from gradaudit.rules.lookup import UnknownRule, find_rule

from .streams import Log, Terminal

DOCUMENTATION = """
## What it finds

A parameter whose output left the graph by `detach()`.

## Why it matters

It is never trained, and the loss goes down all the same, since the rest of the network learns.

## Example

```python
z = encoder(x).detach()  # [red] größe
```

## References

- [Autograd mechanics](https://pytorch.org/docs/stable/notes/autograd.html)
"""


@dataclass(frozen=True)
class FakeRule:
    code: str
    name: str
    severity: Severity
    family: str
    summary: str
    documentation: str = DOCUMENTATION


RULES = (
    FakeRule("GA101", "unused-parameter", "error", "the gradient never arrives", "It is unused."),
    FakeRule("GA102", "graph-cut", "error", "the gradient never arrives", "An operation took it "
             "out of the graph, and no other path leads to a loss that was backpropagated."),
    FakeRule("GA305", "leftover-accumulation", "note", "accumulation", "A window is left over."),
)  # fmt: skip


def rules_on(stream: Log) -> str:
    render_rules(stream, RULES)
    return stream.text()


def explained_on(stream: Log) -> str:
    render_explanation("GA102", stream, RULES)
    return stream.text()


def plain(text: str) -> list[str]:
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()]


def test_a_log_gets_one_line_for_each_rule():
    assert rules_on(Log()).splitlines() == [
        "the gradient never arrives",
        "GA101  unused-parameter       error    It is unused.",
        "GA102  graph-cut              error    An operation took it out of the graph, and no "
        "other path leads to a loss that was backpropagated.",
        "",
        "accumulation",
        "GA305  leftover-accumulation  note     A window is left over.",
    ]


def test_a_terminal_gets_the_summaries_wrapped_beside_the_names():
    lines = plain(rules_on(Terminal()))
    assert lines[2:5] == [
        "GA102  graph-cut              error    An operation took it out of the graph,",
        "                                       and no other path leads to a loss that",
        "                                       was backpropagated.",
    ]


def test_a_log_gets_the_markdown_as_it_is():
    text = explained_on(Log())
    assert text == f"# GA102 graph-cut (error)\n\n{RULES[1].summary}\n\n{DOCUMENTATION.strip()}\n"


def test_a_terminal_gets_it_set():
    text = explained_on(Terminal())
    lines = plain(text)
    assert lines[0] == "GA102 graph-cut (error)"
    assert "What it finds" in lines
    assert " z = encoder(x).detach()  # [red] größe" in lines
    assert any("(https://pytorch.org/docs/stable/notes/autograd.html)" in line for line in lines)
    assert "\x1b[1;31mGA102" in text
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("kind", [Log, Terminal])
@pytest.mark.parametrize("show", [rules_on, explained_on])
def test_ascii_is_enough(kind, show):
    assert show(kind("ascii")).isascii()


@pytest.mark.parametrize("spelling", ["GA102", "ga102", "graph-cut", " Graph-Cut\n"])
def test_a_rule_is_found_by_code_and_by_name(spelling):
    assert find_rule(spelling, RULES) is RULES[1]


@pytest.mark.parametrize(
    ("spelling", "message"),
    [
        ("grph-cut", "there is no rule 'grph-cut': did you mean GA102 (graph-cut)?"),
        ("GA1O2", "there is no rule 'GA1O2': did you mean GA102 (graph-cut)?"),
        ("zzz", "there is no rule 'zzz': `gradaudit rules` lists them all"),
        ("\x1b", "there is no rule '\\x1b': `gradaudit rules` lists them all"),
    ],
)
def test_an_unknown_rule_gets_the_nearest_spelling(spelling, message):
    with pytest.raises(UnknownRule) as caught:
        render_explanation(spelling, Log(), RULES)
    assert str(caught.value) == message
    assert isinstance(caught.value, LookupError)
