"""What a terminal is given: tables, and nothing that moves it."""

import io
import json

import pytest
from rich.console import Console

from spexporter.cli import show
from spexporter.direct.looks import Trouble

HOSTILE = "[bold]\x1b[2J\u202eevil\r\nnext"


def test_table_shows_markup_and_control_characters_as_text() -> None:
    """What a tenant wrote neither styles nor clears the terminal."""
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    terminal.print(show.table("", ("state", "message"), [("FAILED", HOSTILE)]))
    assert isinstance(terminal.file, io.StringIO)
    shown = terminal.file.getvalue()
    assert "[bold]\\u001b[2J\\u202eevil next" in shown
    assert "\x1b[2J" not in shown


def test_line_and_json_do_nothing_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """One line in ASCII, or JSON in which a machine finds every character again."""
    show.say("a:", "", HOSTILE)
    assert capsys.readouterr().out == "a: [bold]\\u001b[2J\\u202eevil next\n"
    show.say_json({"text": HOSTILE})
    out = capsys.readouterr().out
    assert (out.isascii(), "\x1b" in out, json.loads(out)) == (True, False, {"text": HOSTILE})


def test_trouble_is_one_sentence_with_what_helps() -> None:
    """SailPoint's texts end with a full stop of their own, ours go on."""
    trouble = Trouble("backups", "forbidden", "backups answered 403: We refuse.", "ask for a scope")
    assert show.trouble_text(trouble) == "backups answered 403: We refuse; ask for a scope"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, ""), (0.0, "0.0s"), (59.94, "59.9s"), (61.4, "1m01s"), (3725.0, "1h02m05s")]
)
def test_duration_is_written_for_people(seconds: float | None, shown: str) -> None:
    """Tenths of a second below a minute, whole seconds above."""
    assert show.took(seconds) == shown
