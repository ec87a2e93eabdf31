"""Run scripts one after the other in one process, each inside a block; say what was found."""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import sys
import warnings
from pathlib import Path

import torch

import gradaudit


def found_in(script: Path) -> list[str]:
    sys.argv = [script.name]
    sys.path.insert(0, str(script.parent))
    os.chdir(script.parent)
    modules = set(sys.modules)
    torch.manual_seed(0)
    try:
        with contextlib.suppress(Exception), gradaudit.audit() as audit:
            runpy.run_path(script.name, run_name="__main__")
    finally:
        sys.path.remove(str(script.parent))
        torch.set_grad_enabled(True)
        for name in sys.modules.keys() - modules:
            if str(script.parent) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]
    return [finding.rule for finding in audit.findings if finding.severity != "note"]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        found = {script: found_in(Path(script)) for script in sys.argv[1:]}
    json.dump(found, sys.stdout)
