"""What all folders of tests share.

Where the tests run does not count: under GitHub Actions a run would annotate by itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from fixtures.warm import Warm

for name in [name for name in os.environ if name.startswith("GITHUB_")]:
    del os.environ[name]


@pytest.fixture(scope="session")
def warm(tmp_path_factory) -> Iterator[Warm]:
    """One process that has torch, in whose forks scripts are run."""
    with Warm(tmp_path_factory.mktemp("warm")) as server:
        yield server
