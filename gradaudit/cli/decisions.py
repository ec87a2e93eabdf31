"""What the reader decided, on the command line and in the configuration file, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from gradaudit.cli.configured import CONFIG, is_given
from gradaudit.cli.refusal import refuse

if TYPE_CHECKING:
    import typer

    from gradaudit.taming.baseline import Baseline
    from gradaudit.taming.tame import Decisions


def decided(
    context: typer.Context,
    select: Sequence[str],
    ignore: Sequence[str],
    baseline: str | None,
    write_baseline: str | None,
) -> Decisions | None:
    """Put the decisions together; None if there are none."""
    config = context.meta.get(CONFIG)
    if not (config or select or ignore or baseline or write_baseline):
        return None
    from gradaudit.taming.settings import Settings
    from gradaudit.taming.tame import Decisions

    settings = replace(
        config.settings if config else Settings(),
        select=_codes(context, "select", select),
        ignore=_codes(context, "ignore", ignore),
    )
    return Decisions(settings, baseline=_baseline(baseline, write_baseline))


def _codes(context: typer.Context, option: str, spellings: Sequence[str]) -> tuple[str, ...]:
    """Find the rules that an option names; one that is none is told with the file it stands in."""
    from gradaudit.rules.lookup import UnknownRule
    from gradaudit.taming.settings import codes_of

    try:
        return codes_of(spellings)
    except UnknownRule as unknown:
        config = None if is_given(context, option) else context.meta.get(CONFIG)
        where = f"{str(config.path)!r}: " if config else ""
        refuse(f"{where}in {option} {unknown}{'' if str(unknown).endswith('?') else '.'}")


def _baseline(path: str | None, written: str | None) -> Baseline | None:
    """Read the baseline, unless a new one is to be written, in which everything is known."""
    from gradaudit.taming.baseline import Baseline, BaselineError, read_baseline

    if written is not None:
        return Baseline(written, everything=True)
    try:
        return None if path is None else read_baseline(path)
    except BaselineError as problem:
        refuse(problem)
