"""Small helps for the sentences of findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def several(count: int, one: str, many: str | None = None) -> str:
    """``1 parameter``, ``3 parameters``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def does(count: int, one: str, many: str) -> str:
    """The verb that fits the number."""
    return one if count == 1 else many


def quoted(text: str | None, otherwise: str) -> str:
    """Code of the user's in backticks, or other words when it is not known."""
    return f"`{text}`" if text else otherwise


def in_ranks(ranks: Sequence[int], one: str = "rank", many: str = "ranks") -> str:
    """``in rank 1``, ``in ranks 0 to 3``."""
    return f"in {one if len(ranks) == 1 else many} {in_a_row(ranks)}"


def in_a_row(numbers: Iterable[int]) -> str:
    """``0``, ``0 and 2``, ``0 to 3``, ``0, 2 and 4 to 6``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [
        text
        for run in runs
        for text in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run))
    ]
    return " and ".join(filter(None, (", ".join(texts[:-1]), texts[-1])))
