"""How log lines look to whoever reads them."""

import pytest
import structlog

from spexporter.logs import LogFormat, LogLevel, set_up_logs


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        pytest.param(["a", "b"], "a,b", id="names"),
        pytest.param(["must be one of a, b", "unknown key"], '"must be one of a, b; unknown key"', id="texts"),
    ],
)
def test_lists_are_told_apart_from_commas_in_their_texts(
    values: list[str], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In logfmt, which has no lists: names are joined by commas, texts by semicolons."""
    set_up_logs(LogLevel.INFO, LogFormat.LOGFMT, lambda _logger, _method, event: event)
    structlog.get_logger().info("told", values=values)
    assert capsys.readouterr().err.endswith(f" event=told values={shown}\n")
