"""Environment variables in values."""

import pytest

from spexporter.config.expand import expand

ENVIRON = {"A": "1", "EMPTY": "", "DOLLAR": "${A}$"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("${A}", "1"),
        ("x${A}y${A}", "x1y1"),
        ("$$", "$"),
        ("$${A}", "${A}"),
        ("$$$${A}", "$${A}"),
        ("$$${A}", "$1"),
        ("${EMPTY}", ""),
        ("${EMPTY:-d}", "d"),
        ("${UNSET:-}", ""),
        ("${UNSET:-a:-b $$c}", "a:-b $c"),
        ("${A:-d}", "1"),
        ("${DOLLAR}", "${A}$"),
    ],
)
def test_variables_are_filled_in_once(text: str, expanded: str) -> None:
    """Defaults stand in as in a shell, and what a variable holds is not looked at again."""
    found = expand(text, ENVIRON)
    assert (found.text, found.mistakes) == (expanded, ())


@pytest.mark.parametrize("text", ["$", "$A", "${", "${}", "${1A}", "${A", "${A:d}", "${A:-${A}}", "a$$$"])
def test_lone_dollar_is_a_mistake(text: str) -> None:
    """What is neither a variable nor a doubled dollar is not guessed at."""
    (mistake,) = expand(text, ENVIRON).mistakes
    assert mistake == "has a lone $: write $$ for a dollar, ${NAME} or ${NAME:-default} for a variable"


def test_each_unset_variable_is_named_once() -> None:
    """All variables that are missing are told at once."""
    assert expand("${B}${C}${B}", ENVIRON).mistakes == (
        "the environment variable B is not set: set it, or write ${B:-default}",
        "the environment variable C is not set: set it, or write ${C:-default}",
    )


@pytest.mark.parametrize(("text", "told"), [("a$$", False), ("${A}", True), ("${UNSET:-x}", True)])
def test_it_tells_whether_a_variable_had_a_part(text: str, *, told: bool) -> None:
    """What may come from the environment is not repeated in messages."""
    assert expand(text, ENVIRON).from_environment is told
