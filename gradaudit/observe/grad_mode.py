"""Where grad mode was switched off: the ``with``, the decorator, or the global switch."""

from __future__ import annotations

from types import FrameType

from torch.utils import _contextlib
from torch.utils.checkpoint import CheckpointFunction

from gradaudit.model.sites import Site
from gradaudit.observe.sites import SiteBook


def switch_site(frame: FrameType | None, sites: SiteBook) -> Site | None:
    """The place in the user's code that switched grad mode off, seen from the switching frame.

    A decorator switches in a frame of torch's own between the caller and the function; the line
    to name is then the decorator's, when the function is the user's.
    """
    inner = frame
    while inner is not None and not sites.user.owns(inner.f_code):
        if _decorates(inner):
            decorated = _decorator_site(inner, sites)
            if decorated is not None:
                return decorated
        inner = inner.f_back
    return sites.here(inner)


def enclosing_switch(frame: FrameType | None, sites: SiteBook) -> Site | None:
    """The block or decorator around the code that runs, when the switching itself went unseen.

    ``inference_mode`` is entered without a call that a function mode could see (torch 2.13).
    """
    while frame is not None:
        if sites.user.owns(frame.f_code):
            source = sites.sources[frame.f_code.co_filename]
            text = source.grad_mode_block(frame.f_lineno)
            if text is not None and text.line >= frame.f_code.co_firstlineno:
                return sites.at(frame.f_code.co_filename, text, frame.f_code.co_name)
        elif _decorates(frame):
            decorated = _decorator_site(frame, sites)
            if decorated is not None:
                return decorated
            return sites.here(frame)
        frame = frame.f_back
    return None


def written_switch(sites: SiteBook) -> Site | None:
    """The one statement in the user's files that leaves grad mode off, if it ran unseen."""
    written = [
        sites.at(path, text)
        for path in sites.user_files()
        for text in sites.sources[path].switches_off()
    ]
    return written[0] if len(written) == 1 else None


def checkpointing(frame: FrameType | None) -> bool:
    """Whether a reentrant checkpoint switched grad mode off.

    Its forward runs without grad and is run again in the backward, which it takes part in only if
    one of the tensors handed to it requires grad (torch 2.13).
    """
    while frame is not None:
        if frame.f_code is CheckpointFunction.forward.__code__:
            return True
        frame = frame.f_back
    return False


def _decorates(frame: FrameType) -> bool:
    """Whether a frame is that of a decorated function; its name is torch's choice from 2.15 on."""
    return frame.f_globals is vars(_contextlib) and "func" in frame.f_code.co_freevars


def _decorator_site(frame: FrameType, sites: SiteBook) -> Site | None:
    function = frame.f_locals.get("func")
    code = getattr(function, "__code__", None)
    if code is None or not sites.user.owns(code):
        return None
    text = sites.sources[code.co_filename].decorator(code.co_firstlineno)
    return None if text is None else sites.at(code.co_filename, text, code.co_name)
