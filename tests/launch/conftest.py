from __future__ import annotations

import json

import pytest

from .twins import write


@pytest.fixture
def audit(warm, tmp_path):
    """Run a script audited, in a fork: the result, and the report if one was written."""

    def one(source: str, *options: str):
        write(tmp_path / "train.py", source)
        result = warm.audited(tmp_path, "run", "--json", "report.json", *options, "train.py")
        report = tmp_path / "report.json"
        return result, json.loads(report.read_bytes()) if report.exists() else None

    return one
