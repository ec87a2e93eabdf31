"""``gradaudit merge``: files in, one report out."""

from __future__ import annotations

import pytest
from render.reports import finding, report

from gradaudit.render.json_report import dumps, loads


@pytest.fixture
def ranks(tmp_path):
    (tmp_path / "0.json").write_bytes(dumps(report(world_size=2)))
    (tmp_path / "1.json").write_bytes(dumps(report(finding(), rank=1, world_size=2)))
    return tmp_path


def test_ranks_are_merged_shown_and_written(warm, ranks):
    done = warm.audited(ranks, "merge", "0.json", "1.json", "--json", "whole.json")
    assert (done.code, done.err) == (1, "")
    assert "in rank 1" in done.out
    assert "gradaudit, 2 ranks: 1 error" in done.out
    whole = loads((ranks / "whole.json").read_bytes())
    assert [info.rank for info in whole.ranks] == [0, 1]
    assert warm.audited(ranks, "merge", "whole.json", "--fail-on", "never").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("0.json", "2.json"), "Cannot read the report '2.json': No such file or directory."),
        (("0.json", "1.json", "--json", "1.json"), "it is what is read; name another file."),
    ],
)
def test_what_cannot_be_read_or_written_is_refused(warm, ranks, arguments, said):
    done = warm.audited(ranks, "merge", *arguments)
    assert done.code == 2
    assert done.err.startswith("gradaudit: ")
    assert said in done.err
    assert done.err.count("\n") == 1
