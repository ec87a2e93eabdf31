"""What holds for every rule, and for what they say together."""

from __future__ import annotations

import ast
import re
from dataclasses import replace

import pytest

from gradaudit.model.findings import SEVERITIES
from gradaudit.model.run import RunFacts
from gradaudit.rules.assemble import assemble
from gradaudit.rules.case import Case
from gradaudit.rules.catalogue import ASKED, ASKED_OF_RANKS, RULES
from gradaudit.rules.judge import fingerprint, judge
from gradaudit.rules.ranks import Ranks
from gradaudit.rules.rule import (
    ACCUMULATION,
    ARRIVAL,
    CLEARING,
    OPTIMIZER,
    RANKS,
    VALUES,
    AnyRule,
)

from .story import Story, at

SECTIONS = [
    "What it finds",
    "Why it matters",
    "Example",
    "Instead",
    "When it is fine",
    "References",
]
FAMILIES = {
    "1": ARRIVAL,
    "2": CLEARING,
    "3": ACCUMULATION,
    "4": OPTIMIZER,
    "5": VALUES,
    "6": RANKS,
}

every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)


def test_codes_are_unique_and_sorted():
    codes = [rule.code for rule in RULES]
    assert codes == sorted(set(codes))
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_exactly_the_listed_rules_are_asked_and_each_once():
    asked = [*ASKED, *ASKED_OF_RANKS]
    assert sorted(rule.code for rule in asked) == [rule.code for rule in RULES]
    assert {id(rule) for rule in asked} == {id(rule) for rule in RULES}


@every_rule
def test_code_name_severity_and_family_fit(rule: AnyRule):
    assert re.fullmatch(r"GA[1-6]\d\d", rule.code)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    assert rule.severity in SEVERITIES
    assert rule.family == FAMILIES[rule.code[2]]
    assert rule.summary.endswith(".")
    assert "\n" not in rule.summary


@every_rule
def test_a_rule_lives_in_the_module_that_bears_its_code_and_name(rule: AnyRule):
    module = rule.check.__module__.rpartition(".")[2]
    assert module == f"{rule.code}_{rule.name}".lower().replace("-", "_")


@every_rule
def test_the_documentation_has_every_section_and_each_says_something(rule: AnyRule):
    parts = re.split(r"^## (.+)$", rule.documentation, flags=re.MULTILINE)
    assert parts[0].strip() == ""
    assert parts[1::2] == SECTIONS
    assert all(text.strip() for text in parts[2::2])


@every_rule
def test_the_examples_are_python(rule: AnyRule):
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", rule.documentation, re.MULTILINE | re.DOTALL)
    assert rule.documentation.count("```") == 2 * len(fences)
    assert fences
    for language, code in fences:
        assert language == "python"
        ast.parse(code)


def test_no_rule_speaks_when_nothing_happened():
    assert [found for rule in ASKED_OF_RANKS for found in rule.check(Ranks(()))] == []
    for rule in ASKED:
        story = Story()
        assert list(rule.check(_case(story))) == [], rule.code


def _case(story: Story):
    from gradaudit.rules.case import Case

    return Case(story.recording())


def test_a_fingerprint_survives_lines_inserted_above_and_columns_that_move():
    location = at("loss.backward()").location
    moved = replace(
        location,
        line=location.line + 10,
        end_line=location.line + 10,
        column=5,
        end_column=20,
        source="    loss.backward()",
    )
    assert fingerprint("GA201", moved, ("a", "b")) == fingerprint("GA201", location, ("b", "a"))


@pytest.mark.parametrize(
    "change", [{"path": "other.py"}, {"function": "train"}, {"source": "other.backward()"}]
)
def test_a_fingerprint_tells_places_apart(change: dict[str, str]):
    location = at("loss.backward()").location
    assert fingerprint("GA201", replace(location, **change), ()) != fingerprint(
        "GA201", location, ()
    )


def test_a_fingerprint_tells_rules_and_parameters_apart():
    location = at("loss.backward()").location
    known = {
        fingerprint("GA201", location, ("a",)),
        fingerprint("GA203", location, ("a",)),
        fingerprint("GA201", location, ("b",)),
        fingerprint("GA201", None, ("a",)),
    }
    assert len(known) == 4


def test_surrogates_in_a_path_have_a_fingerprint_too():
    location = replace(at("loss.backward()").location, path="tr\udcffin.py")
    assert len(fingerprint("GA201", location, ())) == 16


def test_one_root_cause_is_one_finding():
    """Cleared before the step: nothing was applied either, and nothing more is said."""
    story = Story("a", "b")
    story.optimizer("optimizer", "a")
    for _ in range(3):
        story.backward("a")
        story.zero("a")
        story.step()
    assert [finding.rule for finding in story.findings()] == ["GA203"]


def mixed() -> Story:
    story = Story("net", "criterion", "unused")
    story.optimizer("optimizer", "net", "unused")
    for _ in range(3):
        story.backward("net", "criterion")
        story.step()
    return story


def test_the_gravest_finding_comes_first_and_then_the_code_decides():
    findings = mixed().findings()
    assert [(finding.severity, finding.rule) for finding in findings] == [
        ("error", "GA101"),
        ("error", "GA201"),
        ("warning", "GA401"),
    ]
    assert len({finding.fingerprint for finding in findings}) == 3


FACTS = RunFacts("train.py", ("train.py",), "/project", "completed", 0, None, 1.5)


def test_the_report_counts_what_the_ledger_counted():
    report = assemble(mixed().recording(), FACTS)
    assert (report.run.iterations, report.run.backward_calls) == (3, 3)
    assert (report.run.optimizer_steps, report.run.zero_grad_calls) == (3, 0)
    assert (report.summary.error, report.summary.warning, report.summary.note) == (2, 1, 0)
    (optimizer,) = report.optimizers
    assert (optimizer.name, optimizer.steps) == ("optimizer", 3)
    assert optimizer.parameters == ("net", "unused")
    by_name = {parameter.name: parameter for parameter in report.parameters}
    assert by_name["net"].optimizers == ("optimizer",)
    assert by_name["criterion"].optimizers == ()
    assert [(run.first, run.last, run.state) for run in by_name["unused"].timeline] == [
        (0, 2, "none")
    ]


def test_a_script_without_torch_has_a_report_that_says_so():
    report = assemble(None, FACTS)
    assert report.findings == ()
    assert report.parameters == ()
    assert report.coverage.gaps[0].what == "everything"
    assert report.environment.torch is None


def test_a_rule_that_fails_is_a_gap_and_the_others_speak(monkeypatch):
    def fails(_):
        raise KeyError("leaf")

    recording = mixed().recording()
    first, *others = ASKED
    sound = [each for each in judge(Case(recording)) if each.rule != first.code]
    assert sound
    monkeypatch.setattr("gradaudit.rules.judge.ASKED", (replace(first, check=fails), *others))
    report = assemble(recording, FACTS)
    assert list(report.findings) == sound
    (gap,) = report.coverage.gaps
    assert (gap.what, gap.why) == (
        f"{first.code} {first.name}",
        "the rule failed: KeyError: 'leaf'",
    )
