from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from gradaudit.model.report import Report
from gradaudit.render.checkout import Checkout
from gradaudit.render.markdown import markdown

from .reports import at, finding, report
from .samples import EVERY
from .snapshots import assert_as_before


def written(sample: Report) -> str:
    return markdown(sample, Checkout())


def text_of(source: str) -> str:
    """What a reader sees, code included."""
    return "".join(
        child.content
        for token in MarkdownIt("commonmark").parse(source)
        for child in [token, *(token.children or [])]
        if child.type in ("text", "code_inline", "fence", "text_special")
    )


def html_of(source: str) -> list[str]:
    return [
        child.content.strip()
        for token in MarkdownIt("commonmark").parse(source)
        for child in [token, *(token.children or [])]
        if child.type in ("html_inline", "html_block")
    ]


@pytest.mark.parametrize("name", EVERY)
def test_it_is_as_it_was(name):
    assert_as_before(written(EVERY[name]), f"{name}.md")


@pytest.mark.parametrize("name", EVERY)
def test_it_fits_into_a_comment(name):
    assert len(written(EVERY[name])) < 65_536


def test_long_findings_fit_into_a_comment():
    told = [finding("&" * 3000, location=at(line, path="&" * 3000)) for line in range(20)]
    assert len(written(report(*told))) < 65_536


def test_several_findings_are_listed_first():
    told = [finding(f"the {number}th", location=at(number)) for number in range(1, 13)]
    lines = written(report(*told)).splitlines()
    assert [line for line in lines if line.startswith("- ")] == [
        *(f"- **GA102** `train.py:{number}`: the {number}th" for number in range(1, 11)),
        "- and 2 more findings",
    ]
    assert "- **" not in written(report(told[0]))


def test_what_does_not_fit_is_counted():
    told = written(EVERY["a_thousand_findings"])
    shown = told.count("\n### ")
    assert 50 < shown < 1000
    assert f"and {1000 - shown} more findings" in told
    assert told.index("### error") < told.index("… and")


HOSTILE = "<script>alert(1)</script> @ada [x](javascript:1) `` ``` # | * _ \\ & ~~ ![i](u)"


def test_nothing_quoted_is_markup():
    told = finding(
        HOSTILE,
        name=HOSTILE,
        help=HOSTILE,
        parameters=(HOSTILE, "a`b"),
        location=at(3, f"    {HOSTILE}", path=f"{HOSTILE}.py"),
    )
    source = written(report(told))
    assert html_of(source) == []
    tokens = [
        child.type
        for token in MarkdownIt("commonmark").parse(source)
        for child in token.children or []
    ]
    assert not {"link_open", "image", "em_open"} & set(tokens)
    assert "@\u200bada" in text_of(source)
    assert text_of(source).count("<script>alert(1)</script>") >= 5


@pytest.mark.parametrize("name", EVERY)
def test_only_our_own_html_is_html(name):
    ours = {
        "<details><summary>How it came about</summary>",
        "<details><summary>What follows from it</summary>",
        "</details>",
    }
    assert set(html_of(written(EVERY[name]))) <= ours


def test_places_are_links_where_the_repository_is_known():
    checkout = Checkout("/home/ada", "https://github.com/ada/net/blob/1234")
    told = markdown(report(finding(location=at(3, path="a b.py"))), checkout)
    assert "[`a b.py:3`](https://github.com/ada/net/blob/1234/project/a%20b.py#L3)" in told
    outside = markdown(report(finding(location=at(3, path="/opt/net.py"))), checkout)
    assert "](" not in outside
