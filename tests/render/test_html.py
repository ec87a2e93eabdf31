"""The page as text; what its script makes of it is seen in ``test_html_in_browser``."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from gradaudit.model.report import Report, TimelineRun
from gradaudit.render.html import html
from gradaudit.render.picture import MOST_RUNS, picture
from gradaudit.render.states import LOOKS

from .reports import at, finding, parameter, report
from .samples import AWKWARD, EVERY, long_run
from .snapshots import assert_as_before

HOSTILE = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(1)> {{ 7*7 }} & \"'"


class Page(HTMLParser):
    """What a browser would make of it: the elements, and what stands in scripts."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "input"):
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["script"]:
            self.scripts[-1] += data
        elif self.open[-1:] != ["style"]:
            self.text += data

    @property
    def data(self) -> dict:
        return json.loads(self.scripts[0])


def main_of(sample: Report) -> str:
    return html(sample).partition("<header")[2].partition("<script")[0]


@pytest.mark.parametrize(
    "name", [*AWKWARD, "many", "broken_outside", "failed", "no_torch", "tamed"]
)
def test_it_is_as_it_was(name):
    assert_as_before(main_of(EVERY[name]), f"{name}.html")


@pytest.mark.parametrize("name", EVERY)
def test_every_element_is_closed_and_nothing_is_fetched(name):
    page = Page(html(EVERY[name]))
    assert page.open == []
    assert len(page.scripts) == 2
    for tag, attributes in page.elements:
        assert not {"src", "srcset", "data", "action"} & attributes.keys(), tag
        assert attributes.get("href", "#").startswith("#")
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"url\(|@import|https?:|fetch\(|XMLHttp|innerHTML", html(EVERY[name]))


@pytest.mark.parametrize("name", EVERY)
def test_all_findings_and_parameters_are_in_it(name):
    sample = EVERY[name]
    page = Page(html(sample))
    assert sum(tag == "article" for tag, _ in page.elements) == len(sample.findings)
    assert len(page.data["parameters"]) == len(sample.parameters)


def test_nothing_quoted_ends_the_script_or_begins_one():
    told = finding(
        HOSTILE,
        rule=HOSTILE,
        name=HOSTILE,
        help=HOSTILE,
        parameters=(HOSTILE,),
        location=at(3, HOSTILE, path=HOSTILE, function=HOSTILE),
    )
    page = Page(html(report(told, parameters=(HOSTILE, f"net.{HOSTILE}"), argv=(HOSTILE,))))
    assert len(page.scripts) == 2
    assert "img" not in {tag for tag, _ in page.elements}
    assert page.data["parameters"][0]["name"] == HOSTILE
    assert page.text.count(HOSTILE) >= 5
    assert "49" not in page.text


def test_parameters_are_counted_by_what_their_gradients_mostly_were():
    late = (TimelineRun(0, 9, "none", 0), TimelineRun(10, 119, "fresh", 1))
    sample = report(
        parameters=(
            replace(parameter("a"), timeline=late),
            parameter("b", state="stale"),
            parameter("c"),
            parameter("d"),
        )
    )
    told = re.findall(r"</span>(\w+) <span class=\"times\">([^<]+)", main_of(sample))
    assert told == [("stale", "1 parameter"), ("fresh", "3 parameters")]
    assert re.findall(r"</span>(\w+)<span class=\"meaning\">", main_of(sample)) == [
        "stale",
        "none",
        "fresh",
    ]


def test_a_long_run_of_many_parameters_stays_below_five_mebibytes():
    page = html(long_run())
    assert len(page.encode()) < 5 * 2**20
    assert not Page(page).data["coarse"]


def unfolded(data: dict, timeline: list[int]) -> list[tuple]:
    """Length and kind of each run."""
    kinds = [data["kinds"][kind] for kind in timeline[1::2]]
    return [(length, *kind) for length, kind in zip(timeline[::2], kinds, strict=True)]


def test_a_timeline_is_told_in_lengths_and_kinds():
    runs = (
        TimelineRun(0, 1, "fresh", 1),
        TimelineRun(4, 9, "accumulated", 3, backwards=(0, 1)),
        TimelineRun(10, 11, "nonfinite", 1, mixed=True, life="stale"),
        TimelineRun(12, 12, "fresh", 1),
    )
    data = picture(report(parameters=(replace(parameter("w"), timeline=runs),)))
    states = [state for state, _ in data["states"]]
    fresh = (states.index("fresh"), None, 1, False, ())
    assert unfolded(data, data["timelines"][0]) == [
        (2, *fresh),
        (2, len(states), None, 0, False, ()),
        (6, states.index("accumulated"), None, 3, False, (0, 1)),
        (2, states.index("nonfinite"), states.index("stale"), 1, True, ()),
        (1, *fresh),
    ]
    assert len(data["kinds"]) == 4


def test_backwards_are_told_by_place_and_line():
    places = (at(44, "    loss.backward()", "loss.backward()"), at(9, "x" * 200, path="\x1b.py"))
    told = picture(replace(report(), backwards=places))["backwards"]
    assert told[0] == "train.py:44:5 loss.backward()"
    assert told[1] == "\\x1b.py:9 " + "x" * 79 + "…"


def test_parameters_that_lived_alike_share_a_timeline():
    data = picture(EVERY["a_thousand_parameters"])
    assert len(data["timelines"]) == 1
    assert {info["timeline"] for info in data["parameters"]} == {0}


def test_timelines_that_change_all_the_time_are_told_in_less():
    states = ("fresh", "none")
    infos = tuple(
        replace(
            parameter(f"w{i}"),
            timeline=tuple(
                TimelineRun(at, at, "stale" if at == 777 + i else states[at % 2], 1)
                for at in range(MOST_RUNS // 10)
            ),
        )
        for i in range(20)
    )
    data = picture(report(parameters=infos, iterations=MOST_RUNS // 10))
    assert data["coarse"]
    assert sum(map(len, data["timelines"])) <= 2 * MOST_RUNS
    for timeline in data["timelines"]:
        runs = unfolded(data, timeline)
        assert sum(length for length, *_ in runs) == MOST_RUNS // 10
        assert list(LOOKS).index("stale") in [state for _, state, *_ in runs]


def test_many_norms_are_thinned_and_the_peaks_are_kept():
    norm = tuple((i, 900.0 if i == 4321 else float("nan") if i == 99 else 1.0) for i in range(9999))
    info = picture(report(parameters=(replace(parameter("w"), grad_norm=norm),)))["parameters"][0]
    assert len(info["norm"]) <= 200
    assert {900.0, None} <= set(info["norm"])
