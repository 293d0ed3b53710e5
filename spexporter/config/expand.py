"""Environment variables inside values: `${NAME}`, `${NAME:-default}`, and `$$` for a dollar."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_DOLLAR = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>(?:[^$}]|\$\$)*))?\})?")


@dataclass(frozen=True, slots=True)
class Expanded:
    """A value with its variables filled in; `from_environment` tells whether it has any."""

    text: str
    from_environment: bool
    mistakes: tuple[str, ...]


def expand(text: str, environ: Mapping[str, str]) -> Expanded:
    """Fill in the variables of `text` once: what a variable holds is not looked at again.

    As in a shell, the default also stands in for a variable that is set and empty. No mistake repeats the text.
    """
    names: list[str] = []
    mistakes: list[str] = []

    def fill(found: re.Match[str]) -> str:
        name, default = found["name"], found["default"]
        if found["dollar"]:
            return "$"
        if name is None:
            mistakes.append("has a lone $: write $$ for a dollar, ${NAME} or ${NAME:-default} for a variable")
            return "$"
        names.append(name)
        if default is not None:
            return environ.get(name) or default.replace("$$", "$")
        if name not in environ:
            mistakes.append(f"the environment variable {name} is not set: set it, or write ${{{name}:-default}}")
        return environ.get(name, "")

    filled = _DOLLAR.sub(fill, text)
    return Expanded(filled, bool(names), tuple(dict.fromkeys(mistakes)))
