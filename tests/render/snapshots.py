"""What a reporter wrote last, beside what it writes now."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

FOLDER = Path(__file__).with_name("snapshots")


MOST = 500  # lines that somebody reads


def assert_as_before(text: str, name: str) -> None:
    """Run with WRITE_SNAPSHOTS=1 to accept what it looks like now, and read the difference."""
    snapshot, text = FOLDER / name, abridged(text)
    if os.environ.get("WRITE_SNAPSHOTS"):
        snapshot.write_bytes(text.encode())
    assert text == snapshot.read_bytes().decode()


def abridged(text: str) -> str:
    """Of a long text the beginning and the end, and how much is left out between them."""
    lines = text.splitlines(keepends=True)
    if len(lines) <= MOST:
        return text
    half = MOST // 4
    left_out = "".join(lines[half:-half])
    digest = hashlib.sha256(left_out.encode()).hexdigest()[:16]
    middle = f"[{len(lines) - 2 * half} lines, {len(left_out)} characters, {digest}]\n"
    return "".join((*lines[:half], middle, *lines[-half:]))
