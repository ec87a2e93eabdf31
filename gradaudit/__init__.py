"""gradaudit: a flight recorder for the gradients of an unmodified PyTorch training script.

The rooms, top to bottom; imports point down only (checked in CI by import-linter):

``pytest_plugin``  a marker and a fixture that audit what a test trains
``cli``, ``embed`` the doors: typer parses, asks, hands over; ``with gradaudit.audit()``
``launch``         become ``python script.py`` / ``python -m module``
``observe``        the only package that imports torch: what happens becomes events
``render``         a report becomes text
``taming``         which findings count: compared with a baseline, or with the reader's decisions
``rules``          a ledger becomes findings; one module per rule
``ledger``         events become lives: a pure fold
``model``          the frozen dataclasses everything above speaks in
"""

TYPE_CHECKING = False  # what checkers take for True; typing itself need not be imported
if TYPE_CHECKING:
    from gradaudit.embed.audit import Audit as Audit
    from gradaudit.embed.audit import audit as audit
    from gradaudit.embed.place import AuditError as AuditError

__version__ = "0.1.0"

__all__ = ["Audit", "AuditError", "audit"]


def __getattr__(name: str) -> object:
    """Import what is asked for by name only then: the command line needs none of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gradaudit.embed import audit as api

    return getattr(api, name)
