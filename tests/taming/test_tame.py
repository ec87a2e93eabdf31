from __future__ import annotations

from dataclasses import replace

import pytest
from render.reports import at, finding, report

from gradaudit.model.findings import Finding, Suppressed
from gradaudit.model.report import Report, Summary
from gradaudit.taming.baseline import Baseline
from gradaudit.taming.comments import Comment
from gradaudit.taming.settings import Ignore, Settings
from gradaudit.taming.tame import Decisions, certain, tame

CUT = replace(finding(location=at(42), parameters=("net.a.w", "net.b.w")), fingerprint="cut")
STALE = replace(
    finding(
        rule="GA201", severity="warning", location=at(44, end_line=46), parameters=("net.a.w",)
    ),
    fingerprint="stale",
)
BOTH = report(CUT, STALE)


def tamed(sample: Report = BOTH, comments=(), baseline=None, **settings: object) -> Report:
    decisions = Settings(source="gradaudit.toml", **settings)  # type: ignore[arg-type]
    return tame(sample, Decisions(decisions, tuple(comments), baseline))


def aside(sample: Report) -> list[tuple[Finding, str, str]]:
    return [(item.finding, item.by, item.reason) for item in sample.suppressed]


def test_without_any_decision_all_of_it_counts():
    assert tamed() == BOTH


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"select": ("GA102",)}, "not selected in gradaudit.toml"),
        ({"ignore": ("GA201",)}, "ignored in gradaudit.toml"),
        ({"select": ("GA102", "GA201"), "ignore": ("GA201",)}, "ignored in gradaudit.toml"),
    ],
)
def test_rules_are_selected_and_ignored(settings, why):
    report_ = tamed(**settings)
    assert report_.findings == (CUT,)
    assert aside(report_) == [(STALE, "setting", why)]
    assert report_.summary == Summary(1, 0, 0)


def test_severities_are_overridden_and_the_loudest_stays_first():
    report_ = tamed(severity=(("GA102", "note"), ("GA201", "error")))
    assert [(item.rule, item.severity) for item in report_.findings] == [
        ("GA201", "error"),
        ("GA102", "note"),
    ]
    assert report_.summary == Summary(1, 0, 1)


@pytest.mark.parametrize(
    ("globs", "rules", "left"),
    [
        (("net.*",), (), ()),
        (("net.a.*",), (), (CUT,)),
        (("net.a.*", "*.b.w"), (), ()),
        (("net.*",), ("GA102",), (STALE,)),
        (("net.c.*",), (), (CUT, STALE)),
    ],
)
def test_parameters_are_ignored_where_nothing_else_is_concerned(globs, rules, left):
    assert tamed(parameters=(Ignore(globs, rules, "frozen"),)).findings == left


@pytest.mark.parametrize(
    ("glob", "root", "ignored"),
    [
        ("train.py", "", True),
        ("*.py", "", True),
        ("train.py", "/home/ada/project", True),
        ("project/*", "/home/ada", True),
        ("train.py", "/home/ada", False),
        ("lib/*", "", False),
    ],
)
def test_files_are_ignored_from_where_the_settings_stand(glob, root, ignored):
    report_ = tamed(files=(Ignore((glob,), (), "not ours"),), root=root)
    assert (report_.findings == ()) == ignored
    assert bool(report_.unused_ignores) != ignored


def test_a_finding_without_a_place_lies_in_no_file():
    assert tamed(report(finding()), files=(Ignore(("*",), (), "all"),)).summary.error == 1


def test_a_comment_on_any_line_of_the_place_will_do():
    for line in (44, 45, 46):
        comment = Comment("train.py", line, ("GA201", "GA401"), "on purpose")
        report_ = tamed(comments=[comment])
        assert aside(report_) == [(STALE, "comment", "on purpose")]
        assert report_.unused_ignores == ()


@pytest.mark.parametrize(
    ("comment", "told"),
    [
        (Comment("train.py", 43, ("GA201",), ""), "train.py:43: no GA201 is found here"),
        (Comment("b.py", 44, ("GA201",), ""), "b.py:44: no GA201 is found here"),
        (Comment("train.py", 44, ("GA401",), ""), "train.py:44: no GA401 is found here"),
        (Comment("train.py", 44, (), "", "there is no rule"), "train.py:44: there is no rule"),
    ],
)
def test_a_comment_that_ignores_nothing_is_told(comment, told):
    report_ = tamed(comments=[comment])
    assert report_.findings == BOTH.findings
    assert report_.unused_ignores == (told,)


def test_settings_that_ignore_nothing_are_told():
    unused = Ignore(("lib/*", "*.pyx"), (), "not ours")
    assert tamed(files=(unused,)).unused_ignores == (
        "gradaudit.toml: files lib/*, *.pyx: no finding is about them",
    )


def test_what_is_known_does_not_count_as_often_as_it_is_known():
    report_ = tamed(report(CUT, CUT, STALE), baseline=Baseline("base.json", ("cut", "gone")))
    assert report_.findings == (CUT, STALE)
    assert aside(report_) == [(CUT, "baseline", "known in base.json")]


def test_everything_is_known_to_a_baseline_that_is_about_to_be_written():
    report_ = tamed(baseline=Baseline("base.json", everything=True), ignore=("GA201",))
    assert report_.findings == ()
    assert [item.by for item in report_.suppressed] == ["setting", "baseline"]


def test_what_was_put_aside_before_stays_aside():
    before = replace(BOTH, suppressed=(Suppressed(STALE, "comment", ""),), unused_ignores=("x",))
    assert tamed(before) == before


def test_of_several_decisions_all_were_of_use():
    comment = Comment("train.py", 44, ("GA201",), "on purpose")
    ignore = Ignore(("net.*",), ("GA201",), "frozen")
    report_ = tamed(comments=[comment], parameters=(ignore,), ignore=("GA201",))
    assert aside(report_) == [(STALE, "setting", "ignored in gradaudit.toml")]
    assert report_.unused_ignores == ()


def test_of_a_run_under_way_only_what_will_count_at_its_end_is_certain():
    both, cwd = (CUT, STALE), BOTH.run.cwd
    assert certain(both, Decisions(Settings()), cwd) == both
    comment = Comment("train.py", 45, ("GA201",), "")
    assert certain(both, Decisions(Settings(), (comment,)), cwd) == (CUT,)
    graded = Decisions(Settings(ignore=("GA201",), severity=(("GA102", "note"),)))
    assert certain(both, graded, cwd) == (replace(CUT, severity="note"),)


def test_a_known_finding_may_not_be_complete_yet_and_then_has_another_fingerprint():
    unlike = replace(CUT, fingerprint="of fewer parameters")
    base = Baseline("base.json", ("cut",), places=frozenset({("GA102", "train.py")}))
    new = (unlike, STALE, replace(unlike, location=at(42, path="other.py")))
    assert certain(new, Decisions(Settings(), baseline=base), BOTH.run.cwd) == new[1:]
    everything = Baseline("base.json", everything=True)
    assert certain(new, Decisions(Settings(), baseline=everything), BOTH.run.cwd) == ()
