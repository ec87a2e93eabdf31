from __future__ import annotations

import re

import pytest

from gradaudit.render.checkout import Checkout
from gradaudit.render.github import workflow_commands, write_annotations

from .reports import at, finding, report
from .samples import AWKWARD, EVERY, SAMPLES
from .snapshots import assert_as_before
from .streams import Log

COMMAND = re.compile(
    r"::(error|warning|notice) (?:file=[^,:]+,line=\d+(?:,(?:col|endColumn|endLine)=\d+)*,)?"
    r"title=[^,:]+::[^\r\n]*"
)


def unescaped(text: str) -> str:
    for escape, char in {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}.items():
        text = text.replace(escape, char)
    return text


WITH_FINDINGS = [name for name in SAMPLES if SAMPLES[name].findings]


@pytest.mark.parametrize("name", dict.fromkeys((*AWKWARD, *WITH_FINDINGS)))
def test_it_is_as_it_was(name):
    assert_as_before(workflow_commands(EVERY[name], Checkout()), f"{name}.github")


@pytest.mark.parametrize("name", EVERY)
def test_every_finding_is_one_command(name):
    lines = workflow_commands(EVERY[name], Checkout()).splitlines()
    assert len(lines) == len(EVERY[name].findings)
    for line in lines:
        assert COMMAND.fullmatch(line), line


@pytest.mark.parametrize("encoding", ["ascii", "shift_jis", "utf-8"])
def test_any_log_takes_them(encoding):
    log = Log(encoding)
    write_annotations(SAMPLES["hostile"], Checkout(), log)
    assert "GA999" in log.text()


def test_nothing_quoted_can_begin_a_command_or_a_property():
    told = finding("a\r\n::stop-commands::x%0A", name="b,c::d", location=at(3, path="e:f,g%.py"))
    (line,) = workflow_commands(report(told), Checkout()).splitlines()
    assert line.startswith("::error file=e%3Af%2Cg%25.py,line=3,title=GA102 b%2Cc%3A%3Ad::")
    assert unescaped(line.split("::", 2)[2]).startswith("a\n::stop-commands::x%0A\n")


def test_paths_are_those_of_the_repository():
    told = workflow_commands(report(finding(location=at(3))), Checkout("/home/ada"))
    assert told.startswith("::error file=project/train.py,line=3,")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"column": 5, "end_column": 9}, "line=3,col=5,endColumn=8,"),
        ({"column": 5, "end_line": 3}, "line=3,col=5,endColumn=5,"),
        ({"column": 5, "end_column": 9, "end_line": 7}, "line=3,endLine=7,"),
        ({}, "line=3,title"),
    ],
)
def test_columns_only_within_one_line(fields, said):
    assert said in workflow_commands(report(finding(location=at(3, **fields))), Checkout())
