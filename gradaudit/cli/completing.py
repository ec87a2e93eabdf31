"""What a shell may offer for the name of a rule; names of files it finds by itself."""

from __future__ import annotations

from collections.abc import Iterator


def rule_names(incomplete: str) -> Iterator[tuple[str, str]]:
    """Offer codes, each with the rule's name, and names once one is begun."""
    from gradaudit.rules.catalogue import RULES

    for rule in RULES:
        if rule.code.startswith(incomplete):
            yield rule.code, rule.name
        elif incomplete and rule.name.startswith(incomplete):
            yield rule.name, rule.code


def several_rules(incomplete: str) -> Iterator[tuple[str, str]]:
    """Offer the same for the last of several, set off by commas."""
    before, comma, last = incomplete.rpartition(",")
    for rule, told in rule_names(last):
        yield f"{before}{comma}{rule}", told
