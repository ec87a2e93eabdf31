from __future__ import annotations

from dataclasses import replace

import pytest
from render.reports import at, finding, report

from gradaudit.model.findings import Suppressed
from gradaudit.render.json_report import dumps
from gradaudit.taming.baseline import Baseline, BaselineError, dump_baseline, read_baseline

ONE = replace(finding(location=at(3, path="größe.py")), fingerprint="1")
TWO = replace(finding(rule="GA101"), fingerprint="2")


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "base.json"
    path.write_text(dump_baseline(report(ONE, TWO, TWO)), encoding="utf-8")
    places = frozenset({("GA101", ""), ("GA102", "größe.py")})
    assert read_baseline(str(path)) == Baseline(str(path), ("2", "2", "1"), places=places)


def test_known_findings_stay_known_and_ignored_ones_do_not_become_so(tmp_path):
    path = tmp_path / "base.json"
    aside = (Suppressed(ONE, "baseline", ""), Suppressed(TWO, "comment", ""))
    path.write_text(dump_baseline(replace(report(), suppressed=aside)))
    assert read_baseline(str(path)).known == ("1",)


def test_a_report_is_a_baseline_too(tmp_path):
    path = tmp_path / "report.json"
    path.write_bytes(dumps(report(ONE)))
    assert read_baseline(str(path)).known == ("1",)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"findings": [1]}', b"\xff", b"[" * 99_999, b'{"findings": 3}']
)
def test_anything_else_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "base.json"
    path.write_bytes(content)
    with pytest.raises(BaselineError, match="is no baseline: ") as caught:
        read_baseline(str(path))
    assert "\n" not in str(caught.value)


def test_a_baseline_that_is_not_there(tmp_path):
    with pytest.raises(BaselineError, match="No such file"):
        read_baseline(str(tmp_path / "nosuch.json"))
