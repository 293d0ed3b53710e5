import asyncio
import socket
import threading
from unittest.mock import patch

import pytest

from spexporter.sailpoint.resolver import DaemonResolver


async def test_names_are_resolved_as_the_system_does() -> None:
    """Every address of the name, with the port asked for."""
    found = await DaemonResolver().resolve("localhost", 443, socket.AF_INET)
    assert [(entry["host"], entry["port"], entry["hostname"]) for entry in found] == [("127.0.0.1", 443, "localhost")]


async def test_a_name_that_does_not_exist_is_an_error_of_the_system() -> None:
    """The client puts it into words."""
    with (
        patch.object(socket, "getaddrinfo", side_effect=socket.gaierror(-2, "Name or service not known")),
        pytest.raises(OSError, match="Name or service not known"),
    ):
        await DaemonResolver().resolve("nobody.invalid", 443)


async def test_a_look_up_that_hangs_holds_nobody_up() -> None:
    """It can be cancelled, its thread is a daemon, and its late answer goes nowhere."""
    answer = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        answer.wait(10)
        return []

    with patch.object(socket, "getaddrinfo", side_effect=hang):
        look_up = asyncio.create_task(DaemonResolver().resolve("slow.example", 443))
        await asyncio.sleep(0.01)
        (thread,) = [thread for thread in threading.enumerate() if thread.name == "look up slow.example"]
        assert thread.daemon
        look_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await look_up
        answer.set()
        thread.join(5)
        await asyncio.sleep(0)
