"""What a reporter wrote last, beside what it writes now."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).with_name("snapshots")


def assert_as_before(text: str, name: str) -> None:
    """Run with WRITE_SNAPSHOTS=1 to accept what it looks like now, and read the difference."""
    snapshot = FOLDER / name
    if os.environ.get("WRITE_SNAPSHOTS"):
        snapshot.write_bytes(text.encode())
    assert text == snapshot.read_bytes().decode()
