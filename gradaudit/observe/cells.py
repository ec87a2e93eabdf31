"""Cells of a notebook: code that lies in no file that anybody could open."""

from __future__ import annotations

import sys


def cell(path: str) -> str | None:
    """What IPython calls the cell that a file name stands for, ``In[3]`` say; else None."""
    shell_of = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = None if shell_of is None else shell_of()
    name_of = getattr(getattr(shell, "compile", None), "format_code_name", None)
    told = None if name_of is None else name_of(path)
    return None if told is None else str(told[1])
