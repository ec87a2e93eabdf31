"""What all folders of tests share.

Where the tests run does not count: under GitHub Actions a run would annotate by itself, and in the
background of a shell no process would be interrupted by SIGINT, under ``nohup`` none by SIGHUP.
"""

from __future__ import annotations

import compileall
import os
import signal
from collections.abc import Iterator

import hypothesis
import pytest
from fixtures.warm import Warm
from launch.twins import REPOSITORY

for name in [name for name in os.environ if name.startswith("GITHUB_")]:
    del os.environ[name]


# On a busy machine anything may take long once.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    """Do what the workers and all processes that are started inherit or find done."""
    if not hasattr(config, "workerinput"):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        compileall.compile_dir(REPOSITORY / "gradaudit", quiet=2)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """With ``-n``: neighbours share their fixtures, and whoever is done takes from the others."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.getvalue("dist") == "load" else None


@pytest.fixture(scope="session")
def warm(tmp_path_factory) -> Iterator[Warm]:
    """One process that has torch, in whose forks scripts are run."""
    with Warm(tmp_path_factory.mktemp("warm")) as server:
        yield server
