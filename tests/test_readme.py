"""What the README shows can be done as it stands there."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gradaudit.cli.commands import parse

TEXT = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for each in value.values() for text in strings(each))
    elif isinstance(value, list):
        yield from (text for each in value for text in strings(each))


JOBS = [yaml.safe_load(block) for block in blocks("yaml")]


def test_there_are_three_jobs():
    # YAML 1.1 reads `on` as true; without it there is no workflow
    assert [[*job] for job in JOBS] == [[True, "jobs"], ["gradients"], ["repos"]]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: next(iter(job)))
def test_what_a_job_runs_is_understood(job, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    commands = [text for text in strings(job) if text.startswith("gradaudit ")]
    for command in commands:
        request = parse(shlex.split(command)[1:])
        assert (request.target, request.limits.max_iterations) == ("train.py", 20)
        assert request.fail_on == "warning"
    assert len(commands) == 1


def test_the_jobs_install_the_small_torch():
    index = "pip install torch --index-url https://download.pytorch.org/whl/cpu"
    assert [index in strings(job) for job in JOBS] == [True, True, False]


@pytest.mark.parametrize("block", blocks("python"))
def test_what_is_shown_is_python(block):
    ast.parse(block)
