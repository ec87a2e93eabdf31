"""Is there a torch to audit?  Asked before the script starts, and without importing it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from gradaudit.launch.request import RequestError

OLDEST = (2, 4)


def require_torch() -> None:
    """Raise ``RequestError`` if torch cannot be imported from here, or is older than we know."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        raise RequestError(
            "PyTorch is not installed for this Python: install it with 'pip install torch', "
            "or run gradaudit from the environment in which the script trains."
        )
    version = _version(Path(spec.origin).with_name("version.py"))
    if version is not None and version < OLDEST:
        raise RequestError(
            f"PyTorch {'.'.join(map(str, version))} is too old to be audited: "
            f"install {'.'.join(map(str, OLDEST))} or newer."
        )


def _version(file: Path) -> tuple[int, int] | None:
    """Major and minor, as torch's generated ``version.py`` has them.

    ``importlib.metadata`` knows it too, but costs more to import than all of this package.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError:
        return None
    match = re.search(r"__version__\s*=\s*['\"](\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None
