"""Small helps for the sentences of findings."""

from __future__ import annotations


def several(count: int, one: str, many: str | None = None) -> str:
    """``1 parameter``, ``3 parameters``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def does(count: int, one: str, many: str) -> str:
    """The verb that fits the number."""
    return one if count == 1 else many


def quoted(text: str | None, otherwise: str) -> str:
    """Code of the user's in backticks, or other words when it is not known."""
    return f"`{text}`" if text else otherwise
