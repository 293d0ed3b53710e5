"""`spexporter simulate`: a fake SailPoint tenant server with live jobs."""

import asyncio
import signal
import ssl
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from spexporter.cli import loop
from spexporter.cli.listen import parse_address
from spexporter.clock import SystemClock
from spexporter.domain.errors import words_of
from spexporter.domain.values import replace
from spexporter.simulator import ALL_QUIRKS, Simulator, default_plans, hostile, serving
from spexporter.simulator.certificate import MissingTrustmeError, make_certificate

DEFAULT_LISTEN = "127.0.0.1:9978"
SHOWN_TENANTS = 10


def simulate(
    *,
    listen: Annotated[
        str, typer.Option(help="Address and port to listen on; port 0 takes a free one.")
    ] = DEFAULT_LISTEN,
    tenants: Annotated[int, typer.Option(min=1, max=10_000, help="How many tenants to simulate.")] = 3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same tenants and jobs.")] = 1,
    speed: Annotated[
        float, typer.Option(min=0.01, max=10_000, help="Jobs run and start this many times faster.")
    ] = 1.0,
    quirks: Annotated[
        bool, typer.Option("--quirks/--no-quirks", help="Write answers in every odd shape that they can take.")
    ] = False,
    faults: Annotated[
        float, typer.Option(metavar="SHARE", min=0, max=1, help="Spoil this share of the answers, from 0 to 1.")
    ] = 0.0,
    tls: Annotated[bool, typer.Option("--tls", help="Serve HTTPS with a throwaway certificate.")] = False,
) -> None:
    """Run a fake SailPoint tenant server until SIGINT or SIGTERM."""
    address = parse_address(listen, "--listen")
    host, port = address.host or "0.0.0.0", address.port  # noqa: S104 (as the flags of Prometheus read it)
    if not _is_loopback(host):
        typer.echo(f"warning: {host} can be reached by others, and every secret of the simulator is public", err=True)
    with ExitStack() as stack:
        context, ca_file = None, None
        if tls:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="spexporter-simulator-")))
            context, ca_file = _make_certificate(host, folder)
        troubles = (*(ALL_QUIRKS if quirks else ()), *(hostile(faults, slow=True) if faults else ()))
        plans = [replace(plan, faults=troubles, hub_limits=True) for plan in default_plans(tenants, seed)]
        simulator = Simulator(plans, clock=SystemClock(), seed=seed, speed=speed, ca_file=ca_file)
        try:
            loop.run(_serve(simulator, host, port, context))
        except OSError as error:
            typer.echo(f"cannot listen on {listen}: {words_of(error)}; choose another address with --listen", err=True)
            raise typer.Exit(1) from error


async def _serve(simulator: Simulator, host: str, port: int, context: ssl.SSLContext | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(simulator, host, port, context) as url:
        typer.echo(_how_to_use(simulator, url))
        await stop.wait()


def _how_to_use(simulator: Simulator, url: str) -> str:
    lines = [f"Simulating {len(simulator.plans)} SailPoint tenants; nothing here is real. Ctrl-C ends it."]
    lines += [f"  {url}/{plan.name}" for plan in simulator.plans[:SHOWN_TENANTS]]
    if (more := len(simulator.plans) - SHOWN_TENANTS) > 0:
        lines.append(f"  and {more} more, see {url}/")
    curl = "curl -s"
    if simulator.ca_file:
        lines.append(f"Certificate authority, for ca_file: {simulator.ca_file}")
        curl += f" --cacert {simulator.ca_file}"
    return "\n".join(
        [
            *lines,
            "To watch their jobs, from another terminal:",
            f"  {curl} {url}/-/config.yaml > try.yaml",
            "  spexporter run --config.file try.yaml",
            f"What was asked and sent: {url}/-/truth",
        ]
    )


def _make_certificate(host: str, folder: Path) -> tuple[ssl.SSLContext, str]:
    try:
        context, ca_file = make_certificate(host, folder)
    except MissingTrustmeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    return context, str(ca_file)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
