from __future__ import annotations

import re
from dataclasses import replace

import pytest
from rich.cells import cell_len

from gradaudit.model.report import Report
from gradaudit.render.difference import render_difference
from gradaudit.taming.difference import difference

from .reports import at, finding, parameter, report
from .samples import EVERY
from .snapshots import assert_as_before
from .streams import Log, Terminal


def rendered(before: Report, after: Report, stream: Log | None = None) -> str:
    stream = stream or Log()
    render_difference(difference(before, after), after, stream)
    return stream.text()


def told(fingerprint, **fields):
    return replace(finding(**fields), fingerprint=fingerprint)


BEFORE = report(
    told("gone", rule="GA201", name="missing-zero-grad", location=at(44, "    loss.backward()")),
    told("same", rule="GA101", message="never used in 20 iterations", location=at(3)),
    parameters=("net.a", "net.b", "net.c", parameter("w", state="none")),
)
AFTER = report(
    told("new", location=at(42, "    z = f(x).detach()", "f(x).detach()")),
    told("same", rule="GA101", message="never used in 10 iterations", location=at(5)),
    parameters=(*(parameter(f"net.{i}", state="stale") for i in "abcd"), parameter("w")),
)


def test_it_looks_as_it_did():
    assert_as_before(rendered(BEFORE, AFTER), "difference.txt")


def test_no_difference_is_one_line():
    assert rendered(AFTER, AFTER) == "gradaudit: no difference\n"


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_awkward_reports(name, encoding):
    for pair in ((EVERY["healthy"], EVERY[name]), (EVERY[name], EVERY["healthy"])):
        text = rendered(*pair, Log(encoding))
        assert text.splitlines()[-1].startswith("gradaudit: ")
        assert all(char.isprintable() or char == "\n" for char in text)
        for line in text.splitlines():
            assert cell_len(line) <= 80 or "-->" in line


def test_a_terminal_gets_the_same_text_in_colour():
    text = rendered(BEFORE, AFTER, Terminal())
    assert "\x1b[" in text
    assert re.sub(r"\x1b\[[0-9;]*m", "", text) == rendered(BEFORE, AFTER)
