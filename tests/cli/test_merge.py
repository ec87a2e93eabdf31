"""``gradaudit merge``: files in, one report out."""

from __future__ import annotations

import pytest
from render.reports import finding, report

from gradaudit.render.json_report import dumps, loads

from .test_commands import gradaudit


@pytest.fixture
def ranks(tmp_path):
    (tmp_path / "0.json").write_bytes(dumps(report(world_size=2)))
    (tmp_path / "1.json").write_bytes(dumps(report(finding(), rank=1, world_size=2)))
    return tmp_path


def test_ranks_are_merged_shown_and_written(ranks):
    done = gradaudit("merge", "0.json", "1.json", "--json", "whole.json", cwd=ranks)
    assert (done.returncode, done.stderr) == (1, "")
    assert "in rank 1" in done.stdout
    assert "gradaudit, 2 ranks: 1 error" in done.stdout
    whole = loads((ranks / "whole.json").read_bytes())
    assert [info.rank for info in whole.ranks] == [0, 1]
    assert gradaudit("merge", "whole.json", "--fail-on", "never", cwd=ranks).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("0.json", "2.json"), "Cannot read the report '2.json': No such file or directory."),
        (("0.json", "1.json", "--json", "1.json"), "it is what is read; name another file."),
    ],
)
def test_what_cannot_be_read_or_written_is_refused(ranks, arguments, said):
    done = gradaudit("merge", *arguments, cwd=ranks)
    assert done.returncode == 2
    assert done.stderr.startswith("gradaudit: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
