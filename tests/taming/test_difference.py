from __future__ import annotations

from dataclasses import replace

from render.reports import at, finding, parameter, report

from gradaudit.model.findings import Consequence, Finding
from gradaudit.model.timelines import Stretch, with_values
from gradaudit.taming.difference import Changed, ChangedLife, difference


def told(fingerprint: str, **fields: object) -> Finding:
    return replace(finding(**fields), fingerprint=fingerprint)  # type: ignore[arg-type]


def test_the_same_is_no_difference():
    same = report(told("a"), told("b"))
    found = difference(same, same)
    assert found == difference(report(), report())
    assert not found.fails


def test_new_and_gone_by_fingerprint():
    old, kept, new = told("a", rule="GA101"), told("b"), told("c", rule="GA201")
    found = difference(report(old, kept), report(kept, new))
    assert (found.new, found.gone, found.changed) == ((new,), (old,), ())
    assert found.fails


def test_a_note_that_is_new_fails_nothing():
    assert not difference(report(), report(told("a", severity="note"))).fails


def test_a_line_that_moved_is_no_change():
    before, after = told("a", location=at(3, "x = f()")), told("a", location=at(9, "x = f()"))
    assert difference(report(before), report(after)).changed == ()


def test_what_is_said_otherwise_is_changed():
    before = told("a")
    for after in (
        told("a", severity="warning"),
        told("a", message="else"),
        told("a", consequences=(Consequence("GA404", "x", ()),)),
    ):
        found = difference(report(before), report(after))
        assert found.changed == (Changed(before, after),)
        assert not found.fails


def test_the_same_rule_about_the_same_parameters_on_an_edited_line_is_changed():
    before, after = told("a", location=at(3, "x = f()")), told("b", location=at(3, "x = g()"))
    found = difference(report(before), report(after))
    assert (found.new, found.gone) == ((), ())
    assert found.changed == (Changed(before, after),)


def test_twins_are_paired_one_by_one():
    one = told("a")
    found = difference(report(one, one), report(one, one, one))
    assert found.new == (one,)
    assert found.gone == ()


def test_parameters_whose_life_changed():
    before = report(parameters=(parameter("a"), parameter("b"), parameter("c"), parameter("old")))
    after = report(
        parameters=(
            parameter("a", state="none"),
            parameter("b", state="none"),
            parameter("c", runs=4),
            parameter("new"),
        )
    )
    found = difference(before, after)
    assert found.lives == (ChangedLife(("fresh",), ("none",), ("a", "b")),)
    assert (found.appeared, found.vanished) == (("new",), ("old",))


def test_values_that_were_sampled_in_other_iterations_are_no_other_life():
    plain = parameter("w", state="stale")
    shown = [Stretch(0, 0, "nonfinite"), Stretch(64, 64, "nonfinite")]
    sampled = replace(plain, timeline=tuple(with_values(plain.timeline, shown)))
    assert len(sampled.timeline) == 4
    assert difference(report(parameters=(plain,)), report(parameters=(sampled,))).lives == ()
