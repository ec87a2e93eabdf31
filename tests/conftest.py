"""Where the tests run does not count: under GitHub Actions a run would annotate by itself."""

from __future__ import annotations

import os

for name in [name for name in os.environ if name.startswith("GITHUB_")]:
    del os.environ[name]
