"""The published JSON Schema of the report, generated from the types that define it.

``python -m gradaudit.render.schema`` prints it; ``gradaudit/model/report.schema.json`` is what it
printed last, and the tests hold the two together.
"""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any

import msgspec

from gradaudit.model.report import SCHEMA_VERSION, Report


def report_schema() -> dict[str, Any]:
    """Build the schema (JSON Schema 2020-12) of the current ``schema_version``."""
    generated = msgspec.json.schema(Report)
    definitions = generated["$defs"]
    for definition in definitions.values():
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
    _allow_nonfinite(definitions["ParameterInfo"]["properties"]["grad_norm"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:gradaudit:report:{SCHEMA_VERSION}",
        "title": f"gradaudit report, version {SCHEMA_VERSION}",
        **generated,
    }


def schema_text() -> str:
    """Write the schema as it is published."""
    return json.dumps(report_schema(), indent=2) + "\n"


def _allow_nonfinite(grad_norm: dict[str, Any]) -> None:
    """Allow ``null`` for the norms that JSON has no number for (see ``json_report``)."""
    iteration, norm = grad_norm["items"]["prefixItems"]
    grad_norm["items"]["prefixItems"] = [iteration, {"anyOf": [norm, {"type": "null"}]}]
    grad_norm["description"] = "[iteration, norm] samples; null where the norm is not finite."


if __name__ == "__main__":
    sys.stdout.write(schema_text())
