from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len

from gradaudit.model.findings import Span
from gradaudit.model.report import Loop, LoopEvent, Report, TimelineRun
from gradaudit.render.console import render_report

from .reports import at, finding, parameter, report
from .samples import EVERY, SAMPLES, long_run
from .snapshots import assert_as_before
from .streams import Log, Terminal


def rendered(sample: Report, stream: Log | None = None) -> str:
    stream = stream or Log()
    render_report(sample, stream)
    return stream.text()


def without_styles(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize("name", EVERY)
def test_it_looks_as_it_did(name):
    assert_as_before(rendered(EVERY[name]), f"{name}.txt")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "shift_jis"])
@pytest.mark.parametrize("name", SAMPLES)
def test_it_is_written_in_any_encoding(name, encoding):
    assert "gradaudit" in rendered(SAMPLES[name], Log(encoding))


def test_ascii_has_bars_and_dots_of_its_own():
    text = rendered(SAMPLES["hostile"], Log("ascii"))
    assert text.isascii()
    assert "7 | ..." in text


def test_a_stream_without_encoding_takes_any_text():
    stream = io.StringIO()
    render_report(SAMPLES["many"], stream)
    assert stream.getvalue() == rendered(SAMPLES["many"])


@pytest.mark.parametrize("name", SAMPLES)
def test_a_terminal_gets_the_same_text_in_colour(name):
    text = rendered(SAMPLES[name], Terminal())
    assert "\x1b[" in text
    assert without_styles(text) == rendered(SAMPLES[name])


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = rendered(SAMPLES["many"], Terminal())
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", text)


@pytest.mark.parametrize("columns", ["1", "40", "60", "400"])
@pytest.mark.parametrize("name", SAMPLES)
def test_it_fits_other_terminals(name, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    widest = min(max(int(columns), 40), 100)
    for line in without_styles(rendered(SAMPLES[name], Terminal())).splitlines():
        if "-->" not in line and not line.startswith("gradaudit"):
            assert cell_len(line) <= widest, line


def test_no_terminal_is_taken_to_be_slimmer_than_40_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    at_40 = rendered(SAMPLES["many"], Terminal())
    monkeypatch.setenv("COLUMNS", "1")
    assert rendered(SAMPLES["many"], Terminal()) == at_40


def test_source_lines_keep_the_colour_of_the_terminal():
    text = rendered(SAMPLES["many"], Terminal())
    assert "\x1b[0m z = \x1b[1mself.encoder" in text


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("stream", [Log(), Log("ascii")], ids=["utf-8", "ascii"])
def test_only_paths_and_the_summary_are_wider_than_80_columns(name, stream):
    for line in rendered(SAMPLES[name], stream).splitlines():
        if "-->" not in line and not line.startswith("gradaudit"):
            assert cell_len(line) <= 80, line


@pytest.mark.parametrize("name", EVERY)
def test_there_is_one_summary_and_it_comes_last(name):
    lines = rendered(EVERY[name]).splitlines()
    assert [line for line in lines if line.startswith("gradaudit")] == [lines[-1]]


def test_nothing_hostile_gets_through():
    text = rendered(SAMPLES["hostile"])
    assert all(char.isprintable() or char == "\n" for char in text)
    assert "[red]evil[/red] \\x1b[31m\\u202e name" in text


def test_the_loudest_come_first():
    quiet, loud = finding(rule="GA102", severity="note"), finding(rule="GA401")
    middle = finding(rule="GA305", severity="warning")
    text = rendered(report(quiet, loud, middle))
    assert re.findall(r"^\w+\[(\w+)\]", text, re.MULTILINE) == ["GA401", "GA305", "GA102"]


@pytest.mark.parametrize(
    ("source", "mark", "shown"),
    [
        ("    z = f(x)", "f(x)", ("z = f(x)", "    ^^^^")),
        ("\tz = f(x)", "f(x)", ("z = f(x)", "    ^^^^")),
        ("    z =\tf(x)", "f(x)", ("z =    f(x)", "       ^^^^")),
        ("größe = 梯.detach()", "梯.detach()", ("größe = 梯.detach()", "        ^^^^^^^^^^^")),
        ("梯 = f(x)", "f(x)", ("梯 = f(x)", "     ^^^^")),
        ("    f(x)  # why", None, ("f(x)  # why", "^^^^^^^^^^^")),
        ("    f(x)  # why   \n", "f(x)", ("f(x)  # why", "^^^^")),
    ],
)
def test_the_expression_is_underlined(source, mark, shown):
    text = rendered(report(finding(location=at(5, source, mark))))
    assert text.splitlines()[4:6] == [f"5 │ {shown[0]}", f"  │ {shown[1]}"]


@pytest.mark.parametrize("before", [0, 10, 70, 500])
@pytest.mark.parametrize("after", [0, 10, 70, 500])
def test_a_long_line_is_cut_around_the_expression(before, after):
    source = "b" * before + "梯.f(x)" + "a" * after
    text = rendered(report(finding(location=at(5, source, "梯.f(x)"))))
    line, underline = text.splitlines()[4:6]
    assert cell_len(line) <= 80
    start = underline.index("^")
    assert cell_len(line[: line.index("梯")]) == start
    assert underline.count("^") == 7
    assert ("…" in line) == (before + after + 7 > 76)


@pytest.mark.parametrize(
    ("span", "total", "told"),
    [
        (Span(0, 119, 120), 120, "in 120 of 120 iterations\n"),
        (Span(40, 119, 80), 120, "in 80 of 120 iterations (40 to 119)\n"),
        (Span(7, 7, 1), 120, "in 1 of 120 iterations (7)\n"),
        (Span(0, 0, 1), 1, "in 1 of 1 iteration\n"),
        (Span(0, 2, 3), 0, "in 3 iterations (0 to 2)\n"),
    ],
)
def test_iterations(span, total, told):
    assert told in rendered(report(finding(iterations=span), iterations=total))


def lines_behind(text: str, title: str) -> list[str]:
    """The block of lines that a title begins."""
    lines = text.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith(title))
    return lines[start : lines.index("", start)]


LOOP = Loop(
    at(8, "        for x in data:"),
    4,
    (
        LoopEvent("zero_grad", at(9, "            opt.zero_grad()"), 4),
        LoopEvent("backward", at(12, "            loss.backward()"), 12),
        LoopEvent("step", at(3, "    self.opt.step()", path="engine.py"), 4),
    ),
)


def test_the_loop_is_listed_with_what_its_lines_do():
    broken = finding(location=at(10, "            z = f(x).detach()"))
    text = rendered(replace(report(broken), loops=(LOOP,)))
    assert lines_behind(text, "the loop") == [
        "the loop, 4 passes:",
        "   --> train.py",
        "  8 │     for x in data:",
        "  9 │         opt.zero_grad()    clears gradients",
        " 10 │         z = f(x).detach()  <- GA102 graph-cut",
        " 12 │         loss.backward()    adds to gradients, 12x",
        "   --> engine.py",
        "  3 │ self.opt.step()            applies gradients",
    ]


def course(*states: str) -> tuple[TimelineRun, ...]:
    return tuple(TimelineRun(at, at, state, 1) for at, state in enumerate(states))


def test_strips_show_the_gravest_groups_first():
    infos = [replace(parameter(f"net.{name}"), timeline=course(*["fresh"] * 4)) for name in "abcd"]
    infos += [replace(parameter("w"), timeline=course("fresh", "stale", "stale", "none"))]
    text = rendered(report(parameters=tuple(infos), iterations=4))
    assert lines_behind(text, "gradients over") == [
        "gradients over 4 iterations:",
        "  w                       =!!.",
        "  4 parameters under net  ====",
        "  ! stale: applied again with what was applied before",
        "  . none: no gradient",
        "  = fresh: one contribution, applied",
    ]


def test_one_bad_iteration_among_very_many_is_seen():
    runs = (
        TimelineRun(0, 99_998, "fresh", 1),
        TimelineRun(99_999, 99_999, "nonfinite", 1),
        TimelineRun(100_000, 999_999, "fresh", 1),
    )
    text = rendered(report(parameters=(replace(parameter("w"), timeline=runs),)))
    strip = lines_behind(text, "gradients over")[1]
    assert strip.count("N") == 1
    assert len(strip) <= 80


def test_many_groups_are_counted():
    lines = lines_behind(rendered(long_run(100, 1000, 9)), "gradients over")
    assert lines[9] == "  and 92 parameters in 92 more groups"


def test_parameters_that_are_made_anew_under_the_same_names_share_a_strip():
    lives = [course(*["none"] * at, *["unapplied"] * (4 - at)) for at in range(3)]
    infos = [
        replace(parameter(name + number), timeline=life)
        for number, life in zip(["", " (2)", " (3)"], lives, strict=True)
        for name in ("a.weight", "a.bias")
    ]
    lines = lines_behind(rendered(report(parameters=tuple(infos), iterations=4)), "gradients over")
    assert lines[1] == "  a.weight and a.bias, 3 times  uuuu"
