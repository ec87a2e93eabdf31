"""What cannot be written or cannot be seen, spelled out.

A stray byte of a file name, which no file in UTF-8 can hold, becomes its escape; so does what would
move the cursor or reverse the line.
"""

from __future__ import annotations


def encodable(value: object) -> object:
    """Replace lone surrogates in every text of a tree of builtins."""
    if isinstance(value, str):
        return encodable_text(value)
    if isinstance(value, dict):
        return {key: encodable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encodable(item) for item in value]
    return value


def encodable_text(text: str) -> str:
    """Replace lone surrogates in one text."""
    return text.encode("utf-8", "backslashreplace").decode()


def visible(text: str) -> str:
    """Escape every character that is not printed, line breaks included."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
