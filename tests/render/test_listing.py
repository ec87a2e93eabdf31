from __future__ import annotations

from dataclasses import replace

from gradaudit.model.findings import Related
from gradaudit.model.report import Loop, LoopEvent, Report
from gradaudit.render.listing import Effect, listings

from .reports import at, finding, report

HEADER = at(10, "for x in loader:")
BACKWARD, STEP = at(14, "    loss.backward()"), at(15, "    opt.step()")
CLEARED = at(3, "    opt.zero_grad()", path="engine.py")


def with_loop(*findings, events=()) -> Report:
    told = tuple(LoopEvent(kind, location, count) for kind, location, count in events)
    return replace(report(*findings), loops=(Loop(HEADER, 8, told),))


EVENTS = (("step", STEP, 4), ("backward", BACKWARD, 8), ("zero_grad", CLEARED, 8))


def test_lines_come_in_the_order_of_the_file_and_other_files_behind():
    (listing,) = listings(with_loop(events=EVENTS))
    assert [line.location for line in listing.lines] == [BACKWARD, STEP, CLEARED]
    assert listing.lines[0].effects == (Effect("backward", 8),)
    assert listing.lines[0].effects[0].does == "adds to gradients"


def test_one_line_may_do_several_things():
    (listing,) = listings(with_loop(events=(*EVENTS, ("clip", STEP, 2))))
    told = [effect.does for effect in listing.lines[1].effects]
    assert told == ["applies gradients", "clips gradients"]


def test_what_a_newer_gradaudit_saw_is_told_as_it_says():
    (listing,) = listings(with_loop(events=(("melt", STEP, 2),)))
    assert listing.lines[0].effects == (Effect("melt", 2),)
    assert listing.lines[0].effects[0].does == "melt"


def test_a_finding_marks_its_line_and_is_listed_if_it_lies_within():
    on, within = finding(location=STEP), finding(location=at(12, "    z = z.detach()"))
    outside = [finding(location=place) for place in (at(9), at(40), at(12, path="b.py"), None)]
    (listing,) = listings(with_loop(on, within, *outside, events=EVENTS))
    assert [(line.location.line, line.findings) for line in listing.lines] == [
        (12, (within,)),
        (14, ()),
        (15, (on,)),
        (3, ()),
    ]


def test_what_breaks_a_loop_from_outside_is_listed_apart():
    forward, built = at(12, "    return h.tolist()", path="net.py"), at(4, "opt = SGD(net)")
    by_event = {"related": (Related("no gradient arrives", BACKWARD),)}
    cut, left_out = finding(location=forward, **by_event), finding(location=built, **by_event)
    unrelated = finding(location=at(3, path="net.py"), related=(Related("", at(99)),))
    (listing,) = listings(with_loop(cut, left_out, unrelated, events=EVENTS))
    assert [(line.location, line.findings) for line in listing.elsewhere] == [
        (built, (left_out,)),
        (forward, (cut,)),
    ]
    assert [line.findings for line in listing.lines] == [(), (), ()]


def test_of_many_lines_outside_a_few_are_listed_and_the_rest_counted():
    related = (Related("", BACKWARD),)
    cuts = [finding(location=at(line, path="net.py"), related=related) for line in range(1, 21)]
    (listing,) = listings(with_loop(*cuts, events=EVENTS))
    assert len(listing.elsewhere) + listing.unlisted == 20
    assert 0 < len(listing.elsewhere) < 20


def test_no_loop_is_no_listing():
    assert listings(replace(report(), loops=())) == ()
