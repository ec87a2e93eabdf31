"""``gradaudit rules``: everything that can go wrong, one line each."""

from __future__ import annotations

import sys


def rules() -> None:
    """List the rules: what the audit can find."""
    from gradaudit.render.catalogue import render_rules

    render_rules(sys.stdout)
