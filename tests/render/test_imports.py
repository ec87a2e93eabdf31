from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("json_report", {"torch", "jsonschema", "rich"}),
        ("console", {"torch", "jsonschema", "rich.markdown", "msgspec"}),
        ("html", {"torch", "rich", "msgspec"}),
        ("sarif", {"torch", "jsonschema", "rich", "msgspec"}),
        ("github", {"torch", "jsonschema", "rich", "msgspec"}),
        ("markdown", {"torch", "jsonschema", "rich", "msgspec"}),
        ("junit", {"torch", "jsonschema", "rich.markdown", "msgspec", "jinja2"}),
        ("documents", {"torch", "rich", "msgspec", "gradaudit.render.sarif", "jinja2"}),
        ("catalogue", {"torch", "jsonschema", "rich.markdown", "msgspec"}),
    ],
)
def test_a_reporter_imports_no_more_than_it_needs(module, absent):
    code = f"import sys, gradaudit.render.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not absent & set(done.stdout.split())
