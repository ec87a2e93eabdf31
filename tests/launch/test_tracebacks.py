"""No frame of ours, wherever it stands and however the exceptions hang together."""

from __future__ import annotations

import builtins
import sys
import traceback
from pathlib import Path

import pytest

import gradaudit
from gradaudit.launch.tracebacks import remove_our_frames

OURS = str(Path(gradaudit.__file__).parent / "observe" / "made_up.py")


def ours(source: str) -> dict:
    namespace: dict = {}
    exec(compile(source, OURS, "exec"), namespace)  # noqa: S102
    return namespace


WRAPPER = ours("def wrapper(function):\n    return function()\n")["wrapper"]
CHAIN = ours(
    "def chain(function):\n"
    "    try:\n        function()\n"
    "    except Exception as error:\n        raise RuntimeError from error\n"
)["chain"]


def names(error: BaseException) -> list[str]:
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def fail():
    1 / 0  # noqa: B018


def caught(function, *arguments) -> BaseException:
    try:
        function(*arguments)
    except BaseException as error:
        return error
    raise AssertionError


def test_in_the_middle_and_at_both_ends():
    def user():
        WRAPPER(lambda: WRAPPER(fail))

    error = caught(WRAPPER, user)
    assert names(error).count("wrapper") == 3
    remove_our_frames(error)
    assert names(error) == ["caught", "user", "<lambda>", "fail"]


def test_only_ours():
    error = caught(ours("def raiser():\n    raise ValueError\n")["raiser"])
    error.__traceback__ = error.__traceback__.tb_next
    remove_our_frames(error)
    assert error.__traceback__ is None


def test_causes_contexts_and_circles():
    error = caught(CHAIN, fail)
    error.__cause__.__context__ = error
    remove_our_frames(error)
    assert names(error) == ["caught"]
    assert names(error.__cause__) == ["fail"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="groups came with 3.11")
def test_groups():
    inner = caught(WRAPPER, fail)
    group = builtins.ExceptionGroup("g", [inner])
    error = caught(WRAPPER, lambda: (_ for _ in ()).throw(group))
    remove_our_frames(error)
    assert "wrapper" not in names(error) + names(inner)


def test_an_attribute_that_only_looks_like_a_group():
    error = ValueError()
    error.exceptions = ("no exception",)
    remove_our_frames(error)
