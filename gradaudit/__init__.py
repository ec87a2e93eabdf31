"""gradaudit: a flight recorder for the gradients of an unmodified PyTorch training script.

The rooms, top to bottom; imports point down only (checked in CI by import-linter):

``cli``      typer: parse, ask, hand over
``launch``   become ``python script.py`` / ``python -m module``
``observe``  the only package that imports torch: what happens becomes events
``render``   a report becomes text
``taming``   which findings count: compared with a baseline, or with what the reader decided
``rules``    a ledger becomes findings; one module per rule
``ledger``   events become lives: a pure fold
``model``    the frozen dataclasses everything above speaks in
"""

__version__ = "0.1.0"
