"""Options that the command line leaves open, from the nearest configuration file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from typer.core import TyperOption

from gradaudit.cli.refusal import refuse

if TYPE_CHECKING:
    from gradaudit.taming.config import Config

#: Under which the file that was read is kept for the command itself.
CONFIG = "gradaudit.config"

# What is asked once, of a person: no file says it.
_NEVER = frozenset({"help", "module", "write-baseline"})
_PATHS = frozenset({"json", "html", "sarif", "markdown", "junit", "baseline"})


def fill_in(context: typer.Context, parameters: Sequence[object]) -> None:
    """Give every option that the command line leaves open the value that the file has for it."""
    from gradaudit.taming.config import ConfigError, find_config

    options = {
        max(option.opts, key=len).removeprefix("--"): option
        for option in parameters
        if isinstance(option, TyperOption)
    }
    try:
        config = find_config(Path.cwd(), options.keys() - _NEVER)
    except ConfigError as problem:
        refuse(problem)
    except OSError:  # the working directory is gone
        return
    if config is None:
        return
    context.meta[CONFIG] = config
    for key, value in config.options.items():
        option = options[key]
        if option.name and not is_given(context, option.name):
            context.params[option.name] = _converted(context, config, key, option, value)


def is_given(context: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _converted(
    context: typer.Context, config: Config, key: str, option: TyperOption, value: object
) -> object:
    """Convert as the command line would; a path starts from the file's own directory."""
    where = f"{str(config.path)!r}"
    if option.multiple and isinstance(value, str):
        value = [value]
    if not _is_possible(key, option, value):
        refuse(f"{where}: {key} cannot be {value!r}.")
    if key in _PATHS:
        path = config.path.parent / str(value)
        return str(value) if config.path.parent == Path.cwd() else str(path)
    try:
        return option.process_value(context, value)
    except typer.BadParameter as problem:
        refuse(f"{where}: {key}: {problem.message.rstrip('.')}.")


def _is_possible(key: str, option: TyperOption, value: object) -> bool:
    """Whether it is of the kind that is written for such an option; its type says the rest."""
    if option.multiple:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if option.is_flag:
        return isinstance(value, bool)
    if key in _PATHS:
        return isinstance(value, str)
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)
