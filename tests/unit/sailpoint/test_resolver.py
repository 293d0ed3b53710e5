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
    """It can be cancelled, its thread is a daemon, its late answer goes nowhere, and others are looked up meanwhile."""
    answer, before = threading.Event(), {*threading.enumerate()}

    def hang(host: str, *_: object, **__: object) -> list[object]:
        if host == "slow.example":
            answer.wait(10)
        return []

    resolver = DaemonResolver()
    with patch.object(socket, "getaddrinfo", side_effect=hang):
        look_up = asyncio.create_task(resolver.resolve("slow.example", 443))
        await asyncio.sleep(0.01)
        (thread,) = {*threading.enumerate()} - before
        assert thread.daemon
        look_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await look_up
        assert await resolver.resolve("quick.example", 443) == []
        answer.set()
        assert await resolver.resolve("slow.example", 443) == []


async def test_threads_go_when_they_are_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that comes later brings another one."""
    monkeypatch.setattr("spexporter.sailpoint.resolver._IDLE_S", 0.001)
    resolver, before = DaemonResolver(), {*threading.enumerate()}
    for _ in range(3):
        assert await resolver.resolve("localhost", 443)
        for thread in {*threading.enumerate()} - before:
            await asyncio.to_thread(thread.join, 5)
            before |= {*threading.enumerate()}  # that of to_thread stays
            assert not thread.is_alive()


async def test_few_names_are_looked_up_at_once_and_each_gets_its_answer() -> None:
    """A thousand tenants do not become a thousand threads."""
    names, go = [f"tenant-{number}.example" for number in range(200)], threading.Event()
    before = {*threading.enumerate()}

    def find(host: str, port: int, *_: object, **__: object) -> list[object]:
        go.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"10.0.0.{names.index(host)}", port))]

    resolver = DaemonResolver()
    with patch.object(socket, "getaddrinfo", side_effect=find):
        look_ups = [asyncio.create_task(resolver.resolve(name, 443)) for name in names]
        await asyncio.sleep(0)
        assert len({*threading.enumerate()} - before) == 32
        go.set()
        found = await asyncio.gather(*look_ups)
    assert [[entry["host"] for entry in entries] for entries in found] == [[f"10.0.0.{n}"] for n in range(200)]


async def test_many_who_want_one_name_share_a_look_up_and_its_failure() -> None:
    """One thread asks for all of them; who has gone meanwhile leaves no complaint."""
    begun, answer = threading.Event(), threading.Event()

    def fail(*_: object, **__: object) -> list[object]:
        begun.set()
        answer.wait(10)
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    resolver = DaemonResolver()
    with patch.object(socket, "getaddrinfo", side_effect=fail) as asked:
        first, *others = [asyncio.create_task(resolver.resolve("acme.example", 443)) for _ in range(5)]
        await asyncio.to_thread(begun.wait, 5)
        first.cancel()
        answer.set()
        found = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(error) for error in found] == [asyncio.CancelledError, *[socket.gaierror] * 4]
    assert asked.call_count == 1


async def test_a_name_that_cannot_be_written_is_an_error_as_well() -> None:
    """Nobody waits for an answer that never comes."""
    with pytest.raises(OSError, match="label"):
        await DaemonResolver().resolve(f"{'a' * 64}.example", 443)
