"""The simulator of `tenants.py`, in a process of its own: all tenants over TLS, each below a host name of its own.

On SIGUSR1 it forgets the requests until then. On SIGTERM it answers what is under way, closes, and writes what it knows
into the file named by `--report`.
"""

# ruff: noqa: INP001 - scripts beside each other
import argparse
import asyncio
import json
import resource
import signal
import ssl
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import trustme
from population import DOMAIN, planned_jobs, tenant_name

from spexporter.cli import loop
from spexporter.clock import SystemClock
from spexporter.simulator import Simulator, TenantPlan, result_of, serving
from spexporter.simulator.jobs import FINAL_STATES


def plans(tenants: int) -> list[TenantPlan]:
    """Return the tenants, each with a client id of its own and no job but those that are planted."""
    return [
        TenantPlan(tenant_name(number), f"client-{number}", "synthetic", jobs_at_start=0, starts_per_minute=0.0)
        for number in range(tenants)
    ]


def plant(simulator: Simulator, options: argparse.Namespace) -> None:
    """Plant all jobs of the run; the API shows each from its beginning on."""
    start_s = simulator.now_s()
    for job in planned_jobs(options.tenants, options.jobs, options.until, options.seed):
        simulator.start(
            tenant_name(job.tenant),
            job.operation,
            job_id=job.job_id,
            created_s=start_s + job.begins_s,
            queue_s=0.0,
            duration_s=job.lasts_s,
            final_state=job.final_state,
            name="synthetic",
            result=result_of(job.counts) if job.operation == "import" else None,
        )
    print(f"start {start_s!r}", flush=True)  # noqa: T201 - tenants.py reads it


def certificate(folder: Path) -> ssl.SSLContext:
    """Make a certificate for all host names of tenants; its authority is `ca.pem` in `folder`."""
    authority = trustme.CA(organization_name="benchmark", key_type=trustme.KeyType.ECDSA)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(f"*.{DOMAIN}", key_type=trustme.KeyType.ECDSA).configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return context


def report(simulator: Simulator) -> dict[str, Any]:
    """Return the truth, added up as the exporter's page shows it."""
    record, totals = simulator.record, simulator.truth()["totals"]
    finished: Counter[str] = Counter()
    for (_, operation, _), sent in record.sent.items():
        if sent.last_state in FINAL_STATES:
            finished[f"{operation} {sent.last_state}"] += 1
    exchanges = [exchange for of_client in record.exchanges.values() for exchange in of_client]
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "statuses": Counter(str(exchange.status) for exchange in exchanges),
        "endpoints": Counter(exchange.endpoint for exchange in exchanges),
        "busiest": max((max(by.values()) for by in simulator.busiest_windows().values() if by), default=0),
        "downloaded": totals["downloaded"],  # type: ignore[index]
        "results": sum(1 for sent in record.sent.values() if sent.results),
        "finished": finished,
        "cpu_s": used.ru_utime + used.ru_stime,
    }


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM, and report."""
    stop = asyncio.Event()
    simulator = Simulator(plans(options.tenants), clock=SystemClock(), seed=options.seed)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, simulator.record.exchanges.clear)
    plant(simulator, options)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(simulator, ssl_context=certificate(options.folder)))
        print(url, flush=True)  # noqa: T201 - tenants.py reads it
        await stop.wait()
    options.report.write_text(json.dumps(report(simulator)))


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--until", type=float, required=True, help="plan jobs for so many seconds")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    loop.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
