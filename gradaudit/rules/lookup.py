"""A rule by its code or its name, and the nearest one when there is none."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from gradaudit.rules.rule import AnyRule


class UnknownRule(LookupError):  # noqa: N818 - it is what the user gave, and reads as that
    """No rule has this code or name; the message says so and offers the nearest one."""


def find_rule(code_or_name: str, rules: Sequence[AnyRule]) -> AnyRule:
    """Find a rule by its code or its name, in any case of letters."""
    wanted = code_or_name.strip().casefold()
    spellings = {spelling.casefold(): rule for rule in rules for spelling in (rule.code, rule.name)}
    if wanted in spellings:
        return spellings[wanted]
    message = f"there is no rule {code_or_name[:40]!r}"
    for nearest in difflib.get_close_matches(wanted, spellings, n=1):
        rule = spellings[nearest]
        raise UnknownRule(f"{message}: did you mean {rule.code} ({rule.name})?")
    raise UnknownRule(f"{message}: `gradaudit rules` lists them all")
