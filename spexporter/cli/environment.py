"""Options from the environment: each flag `--a.b-c` of each command has its variable `SPEXPORTER_A_B_C`."""

import re
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

_PREFIX = "SPEXPORTER_"
# What asks for words instead of work.
_WITHOUT = {"--help", "--version"}


def variable_of(flag: str) -> str:
    """Return the variable of a flag: `SPEXPORTER_WEB_LISTEN_ADDRESS` of `--web.listen-address`."""
    return _PREFIX + re.sub(r"\W", "_", flag.lstrip("-")).upper()


def from_environment(ctx: typer.Context, parameter: str) -> bool:
    """Tell whether an option was given in the environment alone: what is on the command line then outweighs it."""
    source = ctx.get_parameter_source(parameter)
    return source is not None and source.name == "ENVIRONMENT"


class FromEnvironment(TyperGroup):
    """Commands whose options may be given in the environment; the command line wins."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 (typer's own)
        super().__init__(**settings)
        for command in self.commands.values():
            if isinstance(command, TyperCommand):
                _name_variables(command)


def _name_variables(command: TyperCommand) -> None:
    for option in command.params:
        if isinstance(option, TyperOption) and option.opts[0] not in _WITHOUT:
            option.envvar = variable_of(option.opts[0])
