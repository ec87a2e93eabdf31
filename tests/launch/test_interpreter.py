"""The corners of the interpreter's end that its versions treat differently."""

from __future__ import annotations

import pytest

from gradaudit.launch.interpreter import exit_code


class Unprintable:
    def __str__(self):
        raise ValueError


@pytest.mark.parametrize(
    ("code", "seen", "said"),
    [
        (None, 0, ""),
        (True, 1, ""),
        (256, 0, ""),
        (-1, 255, ""),
        (2**63 - 1, 255, ""),
        (2**80, 255, ""),
        ("", 1, "\n"),
        (Unprintable(), 1, "\n"),
    ],
)
def test_exit_code(code, seen, said, capsys):
    assert exit_code(SystemExit(code)) == seen
    assert capsys.readouterr().err == said
