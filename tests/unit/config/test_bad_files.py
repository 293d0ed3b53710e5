"""Each bad file beside its exact messages: `NAME.yaml` breaks one rule, `NAME.txt` says what an operator reads."""

from pathlib import Path

import pytest

from spexporter.config import load
from spexporter.domain.errors import ConfigError

BAD = Path(__file__).parent / "bad"
NAMES = sorted(file.stem for file in BAD.glob("*.yaml"))
ENVIRON = {"CLIENT_ID": "id-hunter2", "CLIENT_SECRET": "secret-hunter2", "PLANTED": "hunter2"}


def messages(name: str) -> str:
    with pytest.raises(ConfigError) as raised:
        load(Path(f"{name}.yaml"), ENVIRON)
    return "".join(f"{problem}\n" for problem in raised.value.problems)


@pytest.mark.parametrize("name", NAMES)
def test_bad_file_gets_its_exact_message(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names file, line and path, what is wrong and what would be right, and no planted secret."""
    monkeypatch.chdir(BAD)
    said = messages(name)
    assert said == (BAD / f"{name}.txt").read_text(encoding="utf-8")
    assert "hunter2" not in said


@pytest.mark.parametrize("name", [name for name in NAMES if name != "eight_mistakes"])
def test_bad_file_breaks_one_rule(name: str) -> None:
    """One mistake makes one message, also where it stands in `defaults` and two tenants inherit it."""
    assert (BAD / f"{name}.txt").read_text(encoding="utf-8").count("\n") == 1


def test_eight_mistakes_are_named_in_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody mends a file mistake by mistake: all are told at once, in file order."""
    monkeypatch.chdir(BAD)
    lines = [int(line.split(":")[1]) for line in messages("eight_mistakes").splitlines()]
    assert len(lines) == 8
    assert lines == sorted(lines)


def test_there_are_at_least_thirty_rules() -> None:
    """A rule that loses its file is missed."""
    assert len(NAMES) > 30
    assert {file.stem for file in BAD.glob("*.txt")} == set(NAMES)
