from __future__ import annotations

import pytest

from gradaudit.render.live import finding_line, title

from .reports import at, finding


def test_a_finding_is_one_line():
    sample = finding(location=at(3, "x = y", "y"))
    line = finding_line(sample)
    assert line.startswith(f"{sample.severity}[{sample.rule}] {sample.name}: {sample.message}")
    assert line.endswith(" --> train.py:3:5")
    assert "-->" not in finding_line(finding(location=None))


def test_what_would_move_the_cursor_is_escaped():
    line = finding_line(finding(location=at(3, path="\x1b[2J\n.py")))
    assert line.isprintable()
    assert "\\x1b[2J\\n.py:3" in line


@pytest.mark.parametrize(
    ("rate", "shown"),
    [
        (0.123, "0.12/s"),
        (8.31, "8.3/s"),
        (99.4, "99/s"),
        (99.9, "100/s"),
        (12345.6, "12,346/s"),
    ],
)
def test_the_title(rate, shown):
    assert title(1200, rate, 0.0123) == f"gradaudit: 1,200 iterations, {shown}, audit 1.2 %"
