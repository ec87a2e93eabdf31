"""The page as the output of a notebook's cell: in a frame of its own, apart from the notebook."""

from __future__ import annotations

from html import escape

from gradaudit.model.report import Report
from gradaudit.render.html import html

# Links within the page must not lead to the notebook's address.
_HEAD, _AT_HOME = "<head>", '<head>\n<base href="about:srcdoc">'


def notebook_frame(report: Report) -> str:
    """Put the page into a frame; its script can reach nothing outside of it."""
    page = html(report).replace(_HEAD, _AT_HOME, 1)
    return (
        f'<iframe srcdoc="{escape(page)}" sandbox="allow-scripts" title="gradaudit report" '
        'style="width: 100%; height: 40em; border: 0"></iframe>'
    )
