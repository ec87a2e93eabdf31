"""``# gradaudit: ignore[GA202] reason``: a decision that stands on the line it is about."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from gradaudit.rules.lookup import UnknownRule
from gradaudit.taming.settings import codes_of

_COMMENT = re.compile(r"#\s*gradaudit:\s*ignore\b(?:\[(?P<rules>[^\]]*)\])?(?P<reason>[^#]*)")


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment and its line; ``rules`` are codes, ``problem`` says why it cannot be followed."""

    path: str
    line: int
    rules: tuple[str, ...]
    reason: str
    problem: str = ""


def comments_in(path: str, text: str) -> tuple[Comment, ...]:
    """Find the comments of a source file; one that is not Python has none."""
    if "gradaudit:" not in text:
        return ()
    try:
        return tuple(_comments(path, text))
    except (tokenize.TokenError, SyntaxError):
        return ()


def _comments(path: str, text: str) -> Iterator[Comment]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        match = _COMMENT.search(token.string) if token.type == tokenize.COMMENT else None
        if match is not None:
            yield _comment(path, token.start[0], match)


def _comment(path: str, line: int, match: re.Match[str]) -> Comment:
    reason = match["reason"].strip(" \t:-")
    try:
        rules = codes_of([match["rules"] or ""])
    except UnknownRule as unknown:
        return Comment(path, line, (), reason, str(unknown))
    problem = "" if rules else "it names no rule: write ignore[GA201], say"
    return Comment(path, line, rules, reason, problem)
