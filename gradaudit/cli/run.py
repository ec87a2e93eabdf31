"""``gradaudit run``: our options, then the target; everything behind it belongs to the script.

``-m`` is a plain switch here.  So the module's name is the first word that is no option, just as
a script's path is, and options end at the first such word: in ``run -m pkg.train --lr 3`` the
``--lr`` is the module's own.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer
from typer.core import TyperCommand

from gradaudit.cli.completing import several_rules
from gradaudit.cli.configured import fill_in
from gradaudit.cli.outputs import (
    Github,
    Html,
    Json,
    Junit,
    Markdown,
    Sarif,
    annotates,
    checkout,
    documents,
)


class FailOn(str, Enum):
    """The quietest severity that makes ``run`` exit with 1."""

    error = "error"
    warning = "warning"
    note = "note"
    never = "never"


def _positive(number: float | None) -> float | None:
    if number is not None and not number > 0:
        raise typer.BadParameter(f"{number:g} is not in the range x>0.")
    return number


class RunCommand(TyperCommand):
    """Shows the usage line as one would write it, and takes what is not given from a file."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse; ``--help`` and mistakes end here, before any file is looked for."""
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            fill_in(ctx, self.params)
        return rest

    def collect_usage_pieces(self, ctx: object) -> list[str]:
        """Name the pieces behind ``gradaudit run``."""
        del ctx
        return ["[OPTIONS]", "[-m]", "SCRIPT", "[ARGS]..."]


_NONE: list[str] = []

#: What is no option of ours is left alone, from the first word on that is none.
SETTINGS = {"allow_interspersed_args": False, "allow_extra_args": True}

EXAMPLES = """\b
Examples:
    gradaudit run train.py --lr 0.1
    gradaudit run --max-iterations 20 --json report.json train.py
    gradaudit run -m project.train --epochs 1

Options may stand in gradaudit.toml, or in [tool.gradaudit] of pyproject.toml, as well; the command
line wins.

Exit code: the script's own when it is not 0; else 1 when a finding reaches --fail-on; 2 when there
was nothing to audit or the command line is wrong; else 0.
"""


def run(
    context: typer.Context,
    *,
    target: Annotated[
        str,
        typer.Argument(
            metavar="SCRIPT", help="The training script, or with -m a module; ARGS are its own."
        ),
    ],
    module: Annotated[
        bool, typer.Option("-m", "--module", help="Run a module, as 'python -m' does.")
    ] = False,
    json: Json = None,
    html: Html = None,
    sarif: Sarif = None,
    markdown: Markdown = None,
    junit: Junit = None,
    github: Github = None,
    max_iterations: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Stop the training after N iterations."),
    ] = None,
    max_seconds: Annotated[
        float | None,
        typer.Option(metavar="S", callback=_positive, help="Stop the training after S seconds."),
    ] = None,
    overhead_budget: Annotated[
        float,
        typer.Option(
            metavar="PERCENT",
            callback=_positive,
            help="Sample values only as far as the audit stays below this share of the run's time.",
        ),
    ] = 3.0,
    fail_on: Annotated[
        FailOn, typer.Option(help="Exit with 1 on findings as severe as this, or more.")
    ] = FailOn.error,
    fail_fast: Annotated[
        bool,
        typer.Option(
            "--fail-fast/--no-fail-fast",
            help="Stop the training at the first proven finding that --fail-on is about.",
            show_default=False,
        ),
    ] = False,
    select: Annotated[
        list[str],
        typer.Option(
            metavar="RULES",
            help="Count these rules only, by code or name.",
            autocompletion=several_rules,
        ),
    ] = _NONE,
    ignore: Annotated[
        list[str],
        typer.Option(
            metavar="RULES", help="Do not count these rules.", autocompletion=several_rules
        ),
    ] = _NONE,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Count only what is not in this file."),
    ] = None,
    write_baseline: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Write all that is found to this file: it is known now."),
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet/--no-quiet",
            "-q",
            help="Print no report unless --fail-on makes the run fail.",
            show_default=False,
        ),
    ] = False,
) -> None:
    """Run a training script and report on its gradients.

    The script needs no change. Its output stays its own: the report goes to stderr. Our options
    come before SCRIPT; whatever comes behind it is the script's.
    """
    from gradaudit.cli.decisions import decided
    from gradaudit.launch.request import RunRequest
    from gradaudit.model.run import Limits

    context.obj["request"] = RunRequest(
        target=target,
        module=module,
        args=tuple(context.args),
        documents=documents(
            json=json,
            html=html,
            sarif=sarif,
            markdown=markdown,
            junit=junit,
            baseline=write_baseline,
            github=github,
        ),
        limits=Limits(max_iterations, max_seconds, overhead_budget / 100),
        fail_on=fail_on.value,
        fail_fast=fail_fast,
        quiet=quiet,
        github=annotates(github),
        checkout=checkout(),
        decisions=decided(context, select, ignore, baseline, write_baseline),
    )
