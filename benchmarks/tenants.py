"""A thousand tenants with a hundred jobs each in one exporter: what it costs, how late it is, and whether it is right.

`python benchmarks/tenants.py` runs the program against the simulator in another process, over TLS, with a host name and
a client id for each tenant, and a store on disk. Whenever a job ends another one is handed in.
"""

# ruff: noqa: INP001, T201 - a script that prints what it found
import argparse
import asyncio
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from population import PlannedJob, planned_jobs, tenant_name
from tenants_processes import Program, Usage, exporter, fastest_s, simulator, write_config

SCRAPE_EVERY_S = 15.0
HANDED_IN_AT_ONCE = 256
READY_WITHIN_S = 600.0
COUNTED_WITHIN_S = 60.0  # after the end of the simulator: pages show what is stored
SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? ([^ ]+)$", re.MULTILINE)
LABEL = re.compile(r'([a-z_]+)="([^"]*)"')
COUNTERS = {"errors": "spconfig_import_errors_total", "warnings": "spconfig_import_warnings_total"}
ASKED = (
    *COUNTERS.values(),
    "spconfig_jobs_finished_total",
    "spconfig_import_results_total",
    "spexporter_api_requests_total",
    "spexporter_poll_lateness_seconds",
    "spexporter_series",
)
PROMETHEUS = {"Accept": "application/openmetrics-text;version=1.0.0", "Accept-Encoding": "gzip"}

Sample = tuple[str, dict[str, str], float]


async def ready(program: Program) -> str:
    """Wait until it is ready: every tenant was tried, or has had its time; say how long that, and serving, took."""
    serves_s: float | None = None
    async with aiohttp.ClientSession() as http, asyncio.timeout(READY_WITHIN_S):
        while True:
            with suppress(aiohttp.ClientConnectionError):
                async with http.get(f"{program.url}/-/ready") as response:
                    after_s = time.monotonic() - program.started_s
                    serves_s = serves_s or after_s
                    if response.status == 200:  # noqa: PLR2004 - OK
                        return f"serves after {serves_s:.1f} s, ready after {after_s:.1f} s"
            if program.process.returncode is not None:
                raise SystemExit("the exporter has ended, see exporter.log")
            await asyncio.sleep(0.1)


async def all_asked(options: argparse.Namespace, program: Program) -> None:
    """Wait until there is a connection to each tenant: their probes are spread over `poll.fastest`."""
    for _ in range(round(2 * fastest_s(options))):
        if program.connections() >= options.tenants:
            break
        await asyncio.sleep(1)


def visiting() -> aiohttp.ClientSession:
    """Return a session with as many connections as are wanted at once."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


class Visitor:
    """Scrapes the exporter as Prometheus does, and hands in jobs as pipelines do."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url
        self.scrapes_s: list[float] = []
        self.page_bytes = 0
        self.handed_in: Counter[int] = Counter()

    async def scrape_on(self) -> None:
        """Get the whole page every so often."""
        while True:
            began_s = time.monotonic()
            async with self._http.get(f"{self._url}/metrics", headers=PROMETHEUS, auto_decompress=False) as response:
                self.page_bytes = 0
                async for chunk in response.content.iter_any():
                    self.page_bytes += len(chunk)
            self.scrapes_s.append(time.monotonic() - began_s)
            await asyncio.sleep(max(0.0, began_s + SCRAPE_EVERY_S - time.monotonic()))

    async def hand_in(self, jobs: Iterator[PlannedJob], start_s: float) -> None:
        """Hand in each job once it has begun."""
        turns = asyncio.Semaphore(HANDED_IN_AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            for job in jobs:
                await asyncio.sleep(max(0.0, start_s + job.begins_s + 0.2 - time.time()))
                await turns.acquire()
                task = tasks.create_task(self._hand_in(job))
                task.add_done_callback(lambda _: turns.release())

    async def _hand_in(self, job: PlannedJob) -> None:
        order = {"tenant": tenant_name(job.tenant), "operation": job.operation, "id": job.job_id}
        async with self._http.post(f"{self._url}/api/v1/jobs", json=order) as response:
            self.handed_in[response.status] += 1

    async def samples(self) -> list[Sample]:
        """Return the samples of what is compared."""
        query = [("name[]", name) for name in ASKED]
        async with self._http.get(f"{self._url}/metrics", params=query) as response:
            text = await response.text()
        return [(name, dict(LABEL.findall(labels)), float(value)) for name, labels, value in SAMPLE.findall(text)]


def total(samples: list[Sample], name: str, **wanted: str) -> float:
    """Add up the samples of `name` with these labels."""
    return sum(value for found, labels, value in samples if found == name and wanted.items() <= labels.items())


def quantile(before: list[Sample], after: list[Sample], share: float) -> str:
    """Return the bucket of lateness in which this share of the looks between two pages lies, in seconds."""
    name = "spexporter_poll_lateness_seconds_bucket"
    counts = {
        labels["le"]: value - total(before, name, le=labels["le"]) for found, labels, value in after if found == name
    }
    looks, below = counts.get("+Inf", 0.0), 0.0
    for bound, count in sorted(counts.items(), key=lambda entry: float(entry[0])):
        if count >= share * looks:
            return f"{below:g} to {bound}"
        below = float(bound)
    return "none"


def differences(samples: list[Sample], truth: Mapping[str, Any]) -> list[str]:
    """Say where the page and the truth of the simulator differ."""
    wrong = []
    for kind, name in COUNTERS.items():
        shown: Counter[tuple[str, str]] = Counter()
        for found, labels, value in samples:
            if found == name:
                shown[labels["tenant"], labels["object_type"]] += int(value)
        real = Counter(
            {(tenant, of): n[kind] for tenant, types in truth["downloaded"].items() for of, n in types.items()}
        )
        wrong += [f"{name}{key}: {shown[key]} for {real[key]}" for key in shown | real if shown[key] != real[key]]
    for operation in ("import", "export"):
        for state in ("COMPLETE", "FAILED"):
            shown_jobs = total(samples, "spconfig_jobs_finished_total", operation=operation, state=state)
            real_jobs = truth["finished"].get(f"{operation} {state}", 0)
            wrong += (
                [f"finished {operation} {state}: {shown_jobs:g} for {real_jobs}"] if shown_jobs != real_jobs else []
            )
    answered = total(samples, "spexporter_api_requests_total", code="200")
    sent = truth["statuses"].get("200", 0)
    return wrong + ([f"answers: {answered:g} for {sent}"] if answered != sent else [])


@dataclass(frozen=True, slots=True)
class Window:
    """What is compared at the beginning and at the end of the time in which all is measured."""

    exporter: Usage
    simulator: Usage
    samples: list[Sample]
    wall_s: float

    @classmethod
    async def now(cls, exported: Program, simulated: Program, visitor: Visitor) -> "Window":
        """Look at everything now."""
        return cls(exported.usage(), simulated.usage(), await visitor.samples(), time.time())


def tell(options: argparse.Namespace, before: Window, after: Window, visitor: Visitor) -> None:
    """Print what was measured between two looks."""
    took_s = after.exporter.at_s - before.exporter.at_s
    requests = total(after.samples, "spexporter_api_requests_total") - total(
        before.samples, "spexporter_api_requests_total"
    )
    print(f"{requests:.0f} requests in {took_s:.0f} s, {requests / took_s:.0f} a second")
    for name, first, last in (
        ("exporter", before.exporter, after.exporter),
        ("simulator", before.simulator, after.simulator),
    ):
        cpu_s = last.cpu_s - first.cpu_s
        print(f"{name}: {cpu_s / took_s:.1%} of a core, {cpu_s / max(1, requests) * 1e6:.0f} us a request")
    print(f"exporter resident: {before.exporter.rss_mb:.0f} MB before, {after.exporter.rss_mb:.0f} MB after")
    for share in (0.5, 0.99):
        print(f"lateness, {share:.0%}: {quantile(before.samples, after.samples, share)} s")
    scrapes_ms = sorted(round(scrape_s * 1000) for scrape_s in visitor.scrapes_s)
    page = f"{visitor.page_bytes / 1e6:.1f} MB gzip, {total(after.samples, 'spexporter_series'):.0f} series"
    middle_ms, worst_ms = scrapes_ms[len(scrapes_ms) // 2], scrapes_ms[-1]
    print(f"{len(scrapes_ms)} scrapes of {page}: {middle_ms} ms in the middle, {worst_ms} ms at worst")
    print(f"handed in, by answer: {dict(visitor.handed_in)}; at most {options.jobs} jobs of a tenant at once")


def tell_stalls(worst_ms: Mapping[str, float], before: Window, after: Window) -> None:
    """Print how long everything in the event loop had to wait, while starting and while it was measured."""
    starting = [late for second, late in worst_ms.items() if int(second) < before.wall_s]
    measured = sorted(late for second, late in worst_ms.items() if before.wall_s <= int(second) <= after.wall_s - 1)
    late = sum(1 for stall in measured if stall > 20)  # noqa: PLR2004 - the goal, in ms
    print(
        f"longest wait of the event loop: {max(starting, default=0):.0f} ms until measured, then {measured[-1]:.0f} ms"
    )
    middle = measured[len(measured) // 2]
    print(f"the longest of each second: {middle:.1f} ms in the middle, above 20 ms in {late} of {len(measured)}")


async def idle(options: argparse.Namespace, folder: Path, port: str) -> float:
    """Start without any job; return the resident memory then, in MB."""
    config = write_config(options, folder, port, [])
    async with exporter(options, folder, config) as exported:
        began = await ready(exported)
        await all_asked(options, exported)
        usage, sockets = exported.usage(), exported.connections()
        used = f"{usage.cpu_s:.1f} s CPU, {usage.rss_mb:.0f} MB, {sockets} sockets"
        print(f"without jobs: {began}, {used}")
        worst_ms = await exported.end()
    print(f"without jobs: longest wait of the event loop {max(worst_ms.values()):.0f} ms")
    (folder / "ledger.db").unlink()
    return usage.rss_mb


async def measured(options: argparse.Namespace, folder: Path) -> None:
    """Run it all."""
    seconds = options.minutes * 60
    until_s = seconds + options.warm_up + READY_WITHIN_S
    async with simulator(options, folder, until_s) as (simulated, start_s), visiting() as http:
        port = simulated.url.rpartition(":")[2]
        idle_mb = await idle(options, folder, port)
        simulated.process.send_signal(signal.SIGUSR1)
        jobs = list(planned_jobs(options.tenants, options.jobs, until_s, options.seed))
        now_s = time.time() - start_s
        first = [job for job in jobs if job.begins_s <= now_s < job.ends_s]
        later = sorted((job for job in jobs if job.begins_s > now_s), key=lambda job: job.begins_s)
        config = write_config(options, folder, port, first)
        async with exporter(options, folder, config) as exported:
            began = await ready(exported)
            usage = exported.usage()
            print(f"with {len(first)} jobs: {began}, {usage.cpu_s:.1f} s CPU, {usage.rss_mb:.0f} MB")
            visitor = Visitor(http, exported.url)
            async with asyncio.TaskGroup() as tasks:
                scraping = tasks.create_task(visitor.scrape_on())
                handing_in = tasks.create_task(visitor.hand_in(iter(later), start_s))
                await asyncio.sleep(options.warm_up)
                before = await Window.now(exported, simulated, visitor)
                await asyncio.sleep(seconds)
                after = await Window.now(exported, simulated, visitor)
                handing_in.cancel()
                scraping.cancel()
            known = len(first) + visitor.handed_in[201]
            tell(options, before, after, visitor)
            each_kb = (after.exporter.rss_mb - idle_mb) * 1e3 / known
            print(f"{known} jobs known, {each_kb:.1f} KB each over {idle_mb:.0f} MB; {exported.connections()} sockets")
            print(f"log: {(folder / 'exporter.log').read_text()[-1000:] or 'no warnings'}")
            await told_truth(simulated, visitor)
            tell_stalls(await exported.end(), before, after)


async def told_truth(simulated: Program, visitor: Visitor) -> None:
    """End the simulator, and compare what it knows to what the page says once all that it has sent is counted."""
    truth = await simulated.end()
    print(f"simulator: statuses {truth['statuses']}, most requests of a client in 10 s: {truth['busiest']}")
    refused = truth["statuses"].get("429", 0)
    print(f"429s: {refused}; results downloaded: {truth['results']}; finished: {truth['finished']}")
    began_s = time.monotonic()
    while wrong := differences(await visitor.samples(), truth):
        if time.monotonic() > began_s + COUNTED_WITHIN_S:
            print(f"{len(wrong)} counters differ, such as {wrong[:5]}")
            return
        await asyncio.sleep(1)
    print(f"counters are those of the simulator, {time.monotonic() - began_s:.0f} s after its end")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=100, help="jobs of a tenant that run at any time")
    parser.add_argument("--minutes", type=float, default=10, help="for how long it is measured")
    parser.add_argument("--warm-up", type=float, default=60, help="seconds before that, to see all jobs once")
    parser.add_argument("--rate", type=float, default=2000, help="requests a second in all, at most")
    parser.add_argument("--max-series", type=int, default=250_000)
    parser.add_argument("--loop", choices=["uvloop", "asyncio"], default="uvloop")
    parser.add_argument("--profile", type=Path, help="where a profile of the exporter is left; makes it slower")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        asyncio.run(measured(options, Path(folder)))


if __name__ == "__main__":
    main()
