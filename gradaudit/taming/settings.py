"""What a reader can decide about findings before they are found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from gradaudit.model.findings import Severity
from gradaudit.rules.lookup import find_rule


@dataclass(frozen=True, slots=True)
class Ignore:
    """Findings that do not count: of these rules, or of all, about what one of the globs names."""

    globs: tuple[str, ...]
    rules: tuple[str, ...]
    reason: str

    def concerns(self, rule: str) -> bool:
        """Whether it speaks of a rule, which is given by its code."""
        return not self.rules or rule in self.rules

    def names(self, text: str) -> bool:
        """Whether a glob names it; ``*`` matches dots and slashes as well."""
        return any(fnmatchcase(text, glob) for glob in self.globs)


@dataclass(frozen=True, slots=True)
class Settings:
    """All decisions; rules are codes.  ``source`` is the file they stand in, to be told.

    ``root`` is the directory that the globs of files start from.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    severity: tuple[tuple[str, Severity], ...] = ()
    parameters: tuple[Ignore, ...] = ()
    files: tuple[Ignore, ...] = ()
    source: str = "the command line"
    root: str = ""


def codes_of(spellings: Iterable[str]) -> tuple[str, ...]:
    """Find the codes of rules by code or name, several in a text being set off by commas.

    Raises `UnknownRule`, whose message offers the nearest one.
    """
    from gradaudit.rules.catalogue import RULES  # imports every rule, and most runs name none

    words = [word for spelling in spellings for word in spelling.split(",")]
    return tuple(find_rule(word, RULES).code for word in words if word.strip())
