"""The usage line of a command, as one would write it."""

from __future__ import annotations

from typer.core import TyperArgument, TyperCommand


class Command(TyperCommand):
    """Names its arguments without the braces that typer puts around them."""

    def collect_usage_pieces(self, ctx: object) -> list[str]:
        """Name the pieces behind the command."""
        del ctx
        arguments = (each for each in self.params if isinstance(each, TyperArgument))
        return ["[OPTIONS]", *map(_piece, arguments)]


def _piece(argument: TyperArgument) -> str:
    return f"{argument.human_readable_name}{'...' if argument.nargs != 1 else ''}"
