"""How the states of a gradient look, in letters and in words; the gravest first."""

from __future__ import annotations

from dataclasses import dataclass

from gradaudit.model.report import State


@dataclass(frozen=True, slots=True)
class Look:
    """``mark`` is one ASCII character, ``colour`` a terminal's; ``meaning`` is for the legend."""

    mark: str
    colour: str
    meaning: str


#: Where several states share one character or pixel, the gravest is shown.
LOOKS: dict[State, Look] = {
    "nonfinite": Look("N", "bold red", "NaN or Inf whenever it was sampled"),
    "stale": Look("!", "red", "applied again with what was applied before"),
    "discarded": Look("x", "magenta", "cleared before anything applied it"),
    "unapplied": Look("u", "yellow", "still held, applied by nothing"),
    "zero": Look("0", "yellow", "all zero whenever it was sampled"),
    "none": Look(".", "dim", "no gradient"),
    "accumulated": Look("+", "cyan", "several contributions, applied together"),
    "fresh": Look("=", "green", "one contribution, applied"),
    "frozen": Look("-", "dim", "requires_grad was False"),
}
