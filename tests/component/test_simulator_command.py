import asyncio
import signal
import socket
import ssl
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
import typer
from typer.testing import CliRunner

from spexporter.cli import loop
from spexporter.cli.simulate import simulate
from spexporter.simulator import QUIRKS

PROGRAM = "import typer; from spexporter.cli.simulate import simulate; typer.run(simulate)"


FLAGS = [["--tenants", "0"], ["--speed", "0"], ["--speed", "nan"], ["--speed", "inf"], ["--faults", "1.1"]]


@asynccontextmanager
async def running(*flags: str) -> AsyncIterator[tuple[Process, list[str]]]:
    """Start the command on a free port; yield it and what it has printed down to the last line it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, "--listen", "127.0.0.1:0", *flags, stdout=PIPE
    )
    try:
        assert process.stdout is not None
        lines: list[str] = []
        async with asyncio.timeout(20):
            while not (lines and lines[-1].startswith("What was asked")):
                lines.append((await process.stdout.readline()).decode().rstrip("\n"))
        yield process, lines
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(simulate)
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    return result.exit_code, result.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
async def test_command_says_how_to_use_it_and_ends_when_asked(number: signal.Signals) -> None:
    """It prints a line to paste that works, and a signal ends it with status 0."""
    async with running("--tenants", "12") as (process, lines), aiohttp.ClientSession() as http:
        assert lines[0].startswith("Simulating 12 SailPoint tenants")
        assert lines[11].startswith("  and 2 more")
        (paste,) = [line.split() for line in lines if "curl" in line]
        async with http.get(paste[2]) as response:
            assert (await response.text()).count("base_url") == 12
        process.send_signal(number)
        assert await process.wait() == 0


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        pytest.param(["--quirks", "--faults", "0.5"], (True, True), id="quirks and faults"),
        pytest.param(["--quirks"], (True, False), id="quirks"),
        pytest.param(["--no-quirks"], (False, False), id="none"),
    ],
)
async def test_quirks_and_faults_are_switched_on_by_flags(flags: list[str], found: tuple[bool, bool]) -> None:
    """The truth counts what was spoilt and bent; without the flags nothing is."""
    async with running("--tenants", "1", *flags) as (_, lines), aiohttp.ClientSession() as http:
        url = lines[1].strip()
        for _ in range(25):
            with suppress(aiohttp.ClientError, TimeoutError):
                async with asyncio.timeout(0.2), http.get(f"{url}/oauth/info", allow_redirects=False) as response:
                    await response.content.readany()
        async with http.get(lines[-1].rpartition(" ")[2]) as response:
            served = {name for names in (await response.json())["faults"].values() for name in names}
    assert (bool(served & set(QUIRKS)), bool(served - set(QUIRKS))) == found


async def test_tls_serves_a_certificate_that_its_authority_vouches_for() -> None:
    """The printed file is all a client needs, and it is gone when the simulator is."""
    async with running("--tls", "--tenants", "1") as (process, lines):
        (ca_file,) = [line.rpartition(" ")[2] for line in lines if line.startswith("Certificate authority")]
        context = ssl.create_default_context(cafile=ca_file)
        async with (
            aiohttp.ClientSession() as http,
            http.get(lines[1].strip() + "/oauth/info", ssl=context) as response,
        ):
            assert (await response.json())["tokenEndpoint"].startswith("https://")
        process.terminate()
        assert await process.wait() == 0
    with pytest.raises(OSError, match="No such file"):
        ssl.create_default_context(cafile=ca_file)


def test_tls_without_trustme_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is an extra, so its absence is explained."""
    monkeypatch.setitem(sys.modules, "trustme", None)
    assert run("--tls") == (1, "--tls needs the package trustme: pip install 'spexporter[simulator]'\n")


def test_port_in_use_is_explained() -> None:
    """Status 1, and the flag to change it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        status, output = run("--listen", listen)
    assert status == 1
    assert output == f"cannot listen on {listen}: Address already in use; choose another address with --listen\n"


@pytest.mark.parametrize("listen", ["nonsense", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:http", "a@b:1", "a:1/x"])
def test_wrong_address_is_a_wrong_usage(listen: str) -> None:
    """Status 2, and what an address looks like."""
    status, output = run("--listen", listen)
    assert status == 2
    assert "must be HOST:PORT or :PORT, such as 127.0.0.1:" in output


@pytest.mark.parametrize("flags", FLAGS)
def test_impossible_figures_are_a_wrong_usage(flags: list[str]) -> None:
    """At least one tenant, some speed, and no more faults than answers."""
    assert run(*flags)[0] == 2


@pytest.mark.parametrize(
    ("listen", "warned"), [("192.0.2.1:1", True), (":1", True), ("localhost:1", False), ("[::1]:1", False)]
)
def test_address_that_others_can_reach_is_warned_about(
    listen: str,
    warned: bool,  # noqa: FBT001 - a parameter of the test
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The simulator's secrets are no secrets; on loopback that does not matter."""

    def refuse(main: Coroutine[None, None, None]) -> None:
        main.close()
        raise OSError(99, "not now")

    monkeypatch.setattr(loop, "run", refuse)
    status, output = run("--listen", listen)
    assert status == 1
    assert ("every secret of the simulator is public" in output) == warned
