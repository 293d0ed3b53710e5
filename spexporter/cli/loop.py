"""The event loop that commands run on: uvloop where it is installed, else asyncio's own."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

# The loop lets go of the interpreter with each record of TLS that it sends or gets. Where a thread that works for the
# store has it meanwhile, the loop would get it back only after Python's 5 ms, many times in a row.
_SWITCH_S = 0.0005


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end and return what it returns, as `asyncio.run` does."""
    sys.setswitchinterval(_SWITCH_S)
    with asyncio.Runner(loop_factory=new_loop()) as runner:
        return runner.run(main)


def new_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes a loop: an idle TLS connection, of which each tenant has one, costs far less in uvloop.

    It is there for CPython everywhere but on Windows; None stands for asyncio's own loop.
    """
    try:
        import uvloop  # noqa: PLC0415 - it may be absent
    except ImportError:
        return None
    return uvloop.new_event_loop
