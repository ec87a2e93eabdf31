"""The words for a `.grad` that was read and was None."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gradaudit.model.events import NoneRead, ReadReason
from gradaudit.rules.case import Case
from gradaudit.rules.rule import Link

_REASONS: dict[ReadReason, str] = {
    "non-leaf": "it is not a leaf",
    "requires-grad-missing": "it does not require grad",
    "before-backward": "no backward had run yet",
    "cleared": "it had been cleared, and no backward had come in between",
    "not-reached": "no backward had reached it until then",
    "given-to-optimizer": "it is not a leaf",
}

#: How many reads are told in one chain.
_TOLD = 3


def reason(read: NoneRead) -> str:
    """Why there was nothing at that moment."""
    return _REASONS[read.reason]


def finds_nothing(case: Case, read: NoneRead) -> bool:
    """Whether no read on its line, of whatever tensor, has ever found a gradient."""
    place = read.site.location
    return not any(
        (site.location.path, site.location.line) == (place.path, place.line)
        for site in case.ledger.evidence.found
    )


def read_links(case: Case, leaves: Iterable[int]) -> Iterator[Link]:
    """Where the user's code read the gradients of leaves in vain; each place once."""
    told: list[NoneRead] = []
    for leaf in sorted(leaves):
        for read in case.evidence(leaf).none_reads:
            if len(told) < _TOLD and all(read.site is not known.site for known in told):
                told.append(read)
    for read in told:
        yield Link(f"`{read.subject}.grad` is read here: None, for {reason(read)}", read.site)
