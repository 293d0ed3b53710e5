"""Options in the environment."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperOption
from typer.main import get_group
from typer.testing import CliRunner

from spexporter.cli.environment import variable_of
from spexporter.cli.main import program

RUNNER = CliRunner()
# Variables that mean something else: the image's revision, and a tenant's name in docs/pipeline.sh.
TAKEN = {"SPEXPORTER_REVISION", "SPEXPORTER_TENANT"}


def options() -> Iterator[tuple[str, TyperOption]]:
    for name, command in get_group(program()).commands.items():
        for option in command.params:
            if isinstance(option, TyperOption):
                yield name, option


def test_every_flag_has_a_variable_of_its_own_name() -> None:
    """Whatever command and flag come: one rule names the variable, and no two flags share one."""
    by_variable: dict[str, set[str]] = {}
    for command, option in options():
        assert option.envvar == variable_of(option.opts[0]), (command, option.opts)
        by_variable.setdefault(str(option.envvar), set()).add(option.opts[0])
    assert [flags for flags in by_variable.values() if len(flags) > 1] == []
    assert by_variable["SPEXPORTER_WEB_LISTEN_ADDRESS"] == {"--web.listen-address"}
    assert TAKEN.isdisjoint(by_variable)


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        pytest.param(["check"], {"SPEXPORTER_CONFIG_FILE": "of-env.yaml"}, "of-env.yaml: the file", id="environment"),
        pytest.param(
            ["check", "--config.file", "of-line.yaml"],
            {"SPEXPORTER_CONFIG_FILE": "of-env.yaml"},
            "of-line.yaml: the file",
            id="command line wins",
        ),
        pytest.param(["check"], {"SPEXPORTER_CONFIG_FILE": ""}, "Missing option '--config.file'", id="empty is none"),
        pytest.param(
            ["run", "--config.file", "x.yaml"],
            {"SPEXPORTER_WEB_LISTEN_ADDRESS": "127.0.0.1:1 nowhere"},
            "nowhere",
            id="several values",
        ),
        pytest.param(
            ["run", "--config.file", "x.yaml"],
            {"SPEXPORTER_WEB_ENABLE_LIFECYCLE": "perhaps"},
            "(env var:",
            id="neither true nor false",
        ),
    ],
)
def test_environment_speaks_where_the_command_line_does_not(
    arguments: list[str], environment: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the variables hold is taken as if it had been written as options, mistakes included."""
    monkeypatch.chdir(tmp_path)
    result = RUNNER.invoke(program(), arguments, env=environment)
    assert result.exit_code != 0
    assert said in f"{result.output}{result.exception}", result.output


@pytest.mark.parametrize(
    ("given", "environment", "said"),
    [
        pytest.param(
            ["--config.file", "absent.yaml"],
            {"SPEXPORTER_URL": "http://127.0.0.1:1", "SPEXPORTER_HTTP_CONFIG_FILE": "absent-http.yaml"},
            "absent.yaml: the file cannot be read",
            id="file on the command line",
        ),
        pytest.param(
            ["--url", "ftp://nowhere"], {"SPEXPORTER_CONFIG_FILE": "absent.yaml"}, "--url", id="url on the command line"
        ),
        pytest.param(
            [],
            {"SPEXPORTER_CONFIG_FILE": "a.yaml", "SPEXPORTER_URL": "http://127.0.0.1:1"},
            "exactly one",
            id="neither",
        ),
    ],
)
def test_wait_takes_the_way_that_the_command_line_names(
    given: list[str], environment: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that are there for other commands, as in the image, do not stand in its way."""
    monkeypatch.chdir(tmp_path)
    result = RUNNER.invoke(program(), ["wait", *given, "acme", "import", "i1"], env=environment)
    assert result.exit_code != 0
    told = f"{result.output}{result.exception}"
    assert said in told
    assert ("exactly one" in told) == (said == "exactly one")
