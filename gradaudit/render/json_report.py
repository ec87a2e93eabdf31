"""The JSON report: a :class:`Report` written as bytes, and read back with every field checked.

A norm that is not finite is ``null`` in the file, since JSON knows neither NaN nor Infinity, and
NaN when it is read back: strict parsers read every report, and the model keeps plain floats.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from gradaudit import __version__
from gradaudit.model.report import SCHEMA_VERSION, Report
from gradaudit.render.unicode import encodable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeGuard

_WIDTH = 100
# The report, a list in it, an item of that list, a list of that item.  Deeper things stay on one
# line, so that a timeline with thousands of runs costs little more than its text.
_DEEPEST = 4


class ReportError(ValueError):
    """The data is no report that this version can read; the message says why in one sentence."""


def dumps(report: Report) -> bytes:
    """Write a report as UTF-8 JSON, laid out to be read by people and small when it is long."""
    builtins = msgspec.to_builtins(report)
    for parameter in builtins["parameters"]:
        for run in parameter["timeline"]:
            for rare in ("mixed", "life", "backwards"):
                if not run[rare]:
                    del run[rare]  # said of few, and runs are many
    try:
        msgspec.json.encode(builtins)
    except UnicodeEncodeError:  # surrogates: file names and arguments that were not UTF-8
        builtins = encodable(builtins)
    return (_layout(builtins, depth=0) + "\n").encode()


def loads(data: bytes) -> Report:
    """Read a report; unknown fields are ignored, anything else unexpected is a `ReportError`."""
    document = _readable(_parse(data))
    _restore_nonfinite(document)
    try:
        report = msgspec.convert(document, Report)
    except msgspec.ValidationError as error:
        raise ReportError(_damage(str(error))) from None
    _check_references(report)
    return report


def _layout(value: object, depth: int) -> str:
    """Lay out on one line what fits there, and open up what does not."""
    flat = msgspec.json.format(msgspec.json.encode(value), indent=0).decode()
    if depth == _DEEPEST or len(flat) + depth <= _WIDTH:
        return flat
    if isinstance(value, dict):
        fields = [f'"{name}": {_layout(item, depth + 1)}' for name, item in value.items()]
        return _opened("{", fields, "}", depth)
    if _holds_objects(value):
        return _opened("[", [_layout(item, depth + 1) for item in value], "]", depth)
    return flat


def _opened(start: str, items: list[str], end: str, depth: int) -> str:
    inner, outer = "\n" + " " * (depth + 1), "\n" + " " * depth
    return start + inner + f",{inner}".join(items) + outer + end


def _holds_objects(value: object) -> TypeGuard[Sequence[object]]:
    """Tell lists that open up from those that read well in a row: names, shapes, samples."""
    return isinstance(value, (list, tuple)) and bool(value) and isinstance(value[0], dict)


def _parse(data: bytes) -> object:
    if not data.strip():
        raise ReportError("this is not a gradaudit report: it is empty")
    try:
        return msgspec.json.decode(data)
    except RecursionError:
        raise ReportError("this is not a gradaudit report: it is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = str(error).partition(" - at ")[0]
        raise ReportError(f"this is not JSON, or only a part of it: {reason}") from None


def _readable(document: object) -> dict[str, object]:
    """Tell foreign files and newer reports from damaged ones, before the fields are checked."""
    if not isinstance(document, dict) or "schema_version" not in document:
        raise ReportError("this is JSON, but not a gradaudit report: it has no schema_version")
    tool = document.get("tool")
    if isinstance(tool, dict) and tool.get("name", "gradaudit") != "gradaudit":
        raise ReportError(f"this is a report of {str(tool['name'])[:40]!r}, not of gradaudit")
    version = document["schema_version"]
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ReportError(
            f"this report has schema_version {version}, and gradaudit {__version__} reads up to "
            f"{SCHEMA_VERSION}: it takes a newer gradaudit to read it"
        )
    return document


def _restore_nonfinite(document: dict[str, object]) -> None:
    """Turn ``null`` norms into NaN in place; whatever is damaged is left for the field checks."""
    for parameter in _items(document.get("parameters")):
        samples = parameter.get("grad_norm") if isinstance(parameter, dict) else None
        for sample in _items(samples):
            if isinstance(sample, list) and len(sample) == 2 and sample[1] is None:
                sample[1] = math.nan


def _check_references(report: Report) -> None:
    known = range(len(report.backwards))
    for number, parameter in enumerate(report.parameters):
        if any(index not in known for run in parameter.timeline for index in run.backwards):
            raise ReportError(
                f"this gradaudit report is damaged at parameters[{number}].timeline: it refers to "
                "a backward that is not there"
            )


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _damage(message: str) -> str:
    """Say where and what: "Expected `int`, got `str` - at `$.run.iterations`", turned round."""
    what, _, where = message.partition(" - at ")
    field = where.strip("`").removeprefix("$").removeprefix(".") or "its top level"
    return f"this gradaudit report is damaged at {field}: {what[:1].lower()}{what[1:]}"
