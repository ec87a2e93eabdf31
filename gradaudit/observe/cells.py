"""Cells of a notebook: code that lies in no file that anybody could open."""

from __future__ import annotations

import sys


def cell(path: str) -> str | None:
    """What IPython calls the cell that a file name stands for, ``In[3]`` say; else None."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    name_of = getattr(getattr(shell, "compile", None), "format_code_name", None)
    told = None if name_of is None else name_of(path)
    return None if told is None else str(told[1])
