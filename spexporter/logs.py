"""How log lines look and where they go: one line for each event, on standard error."""

import logging
import re
import sys
from collections.abc import Callable, MutableMapping
from enum import StrEnum
from typing import Any

import structlog
from structlog.typing import Processor

# C0 and C1 controls but for tab and line feed, which every form escapes itself, and what turns text around.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class LogLevel(StrEnum):
    """The values of `--log.level`."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """The values of `--log.format`."""

    LOGFMT = "logfmt"
    JSON = "json"
    CONSOLE = "console"


def set_up_logs(level: LogLevel, form: LogFormat, count: Callable[..., Any]) -> None:
    """Send our log lines, and what libraries log from WARNING up, to standard error; `count` hears of each line."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            count,
            _harmless,
            *_rendering(form),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)


def _harmless(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Write out what could make a terminal do things: tenants' texts are in our lines."""
    return {key: harmless(value) if isinstance(value, str) else value for key, value in event.items()}


def harmless(text: str) -> str:
    """Return `text` with what could make a terminal do things written out."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _rendering(form: LogFormat) -> list[Processor]:
    if form is LogFormat.CONSOLE:
        return [_console()]
    if form is LogFormat.JSON:
        # Without the local variables of each frame: one of them may be a secret.
        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        return [structlog.processors.ExceptionRenderer(tracebacks), structlog.processors.JSONRenderer(default=str)]
    order = ["ts", "level", "event"]
    return [
        structlog.processors.format_exc_info,
        _flat,
        structlog.processors.LogfmtRenderer(key_order=order, bool_as_flag=False),
    ]


def _console() -> Processor:
    return structlog.dev.ConsoleRenderer(
        timestamp_key="ts",
        colors=sys.stderr.isatty(),
        exception_formatter=structlog.dev.plain_traceback,  # the rich one shows local variables
    )


def _flat(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Write lists in one word, as logfmt has none, and leave out what says nothing."""
    words = {key: _joined(value) if isinstance(value, list | tuple) else value for key, value in event.items()}
    return {key: value for key, value in words.items() if value is not None and value != ""}


def _joined(values: list[object] | tuple[object, ...]) -> str:
    """Join names by commas, and texts, which have commas of their own, by semicolons."""
    texts = [str(value) for value in values]
    return ("; " if any(" " in text for text in texts) else ",").join(texts)


class _Forward(logging.Handler):
    """Turns what libraries log into lines of our own form."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.log(
            record.levelno, "library_said", logger=record.name, message=record.getMessage(), exc_info=record.exc_info
        )
