"""What files say while the exporter runs: taken over, refused, kept, and told to people on the status page."""

import asyncio
import gc
import html
import os
import re
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from spexporter import files as module
from spexporter.config import Config, load
from spexporter.domain.errors import ConfigError
from spexporter.domain.job import JobKey, Operation, Source, WatchedJob
from spexporter.domain.values import replace
from spexporter.simulator import default_plans
from tests.support.clock import settle
from tests.support.scene import until
from tests.support.world import World, world

ACME, GLOBEX = (replace(plan, jobs_at_start=0, starts_per_minute=0.0) for plan in default_plans(2))
JOB = {"tenant": ACME.name, "operation": "export", "job_id": "e1", "duration_s": 5.0}


@dataclass(frozen=True, slots=True)
class Folder:
    """A configuration with tenants and jobs in files of their own, for the simulator at `url`."""

    path: Path
    url: str = "http://127.0.0.1:9"

    @property
    def main(self) -> Path:
        return self.path / "spexporter.yaml"

    def at(self, url: str) -> "Folder":
        return replace(self, url=url)

    def write(self, more: str = "") -> None:
        """Write the main file: acme-prod, whose jobs are in `jobs.d`, and `more`."""
        (self.path / "jobs.d").mkdir(exist_ok=True)
        (self.path / "tenants.d").mkdir(exist_ok=True)
        self.main.write_text(self.text() + more)

    def text(self) -> str:
        return (
            "defaults: {allow_http: true}\nstore: {url: 'sqlite://'}\ncounters: {hold: 0s}\n"
            f"tenant_files: [{self.path}/tenants.d/*.yaml]\n"
            f"tenants:\n  - {{{self.tenant()}, job_files: [{self.path}/jobs.d/*.yaml]}}\n"
        )

    def tenant(self) -> str:
        return (
            f"name: {ACME.name}, base_url: '{self.url}/{ACME.name}',"
            f" client_id: {ACME.client_id}, client_secret: {ACME.client_secret}"
        )

    def other(self) -> str:
        """What a file of tenants says of globex."""
        return (
            f"- {{name: {GLOBEX.name}, base_url: '{self.url}/{GLOBEX.name}',"
            f" client_id: {GLOBEX.client_id}, client_secret: {GLOBEX.client_secret}}}\n"
        )

    def jobs(self, text: str, name: str = "a") -> Path:
        path = self.path / "jobs.d" / f"{name}.yaml"
        path.write_text(text)
        return path

    def tenants(self, text: str) -> Path:
        path = self.path / "tenants.d" / "more.yaml"
        path.write_text(text)
        return path

    def read(self, present: Config) -> Config:
        return load(self.main, {}, present)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


async def words(running: World) -> str:
    """Return what the section about the configuration says on the status page, without its markup."""
    _, page = await running.get("/")
    section = page.partition("<h2>Configuration</h2>")[2].partition("</section>")[0]
    text = re.sub(r"<[^>]*>", " ", re.sub("</?time[^>]*>", "", section))
    return " ".join(html.unescape(text).split())


async def test_the_status_page_tells_how_the_last_reload_ended(folder: Folder) -> None:
    """None yet, taken over, refused with every problem; when, and since when the configuration in use is."""
    async with world([ACME, GLOBEX]) as running:
        here = folder.at(running.tenants_url)
        here.write()
        assert await words(running) == "In use since 2027-01-15 08:00:00 UTC Last reload none since the start"
        await running.advance(60)
        await running.exporter.files.reload(here.read)
        await running.advance(90)
        assert await words(running) == "In use since 2027-01-15 08:01:00 UTC Last reload taken over 1 min ago"
        here.write("limits: {max_jobs_per_tenant: 0}\nnonsense: <b>\n")
        with pytest.raises(ConfigError):
            await running.exporter.files.reload(here.read)
        await running.advance(5)
        assert await words(running) == (
            "In use since 2027-01-15 08:01:00 UTC Last reload refused 5 s ago; the configuration before goes on"
            f" {here.main}:7: limits.max_jobs_per_tenant: must be a whole number from 1 to 999999999, got '0'"
            f" {here.main}:8: nonsense: unknown key; known here are defaults, tenants, tenant_files, store, counters,"
            " limits, per_job_metrics"
        )
        assert (await running.get("/"))[1].count('<section class="trouble"') == 1
        here.write()
        await running.exporter.files.reload(here.read)
        assert (await words(running)).endswith("Last reload taken over 0 s ago")
        assert '<section class="trouble"' not in (await running.get("/"))[1]


async def test_the_status_page_names_bad_files_until_they_are_good(folder: Folder) -> None:
    """Files of jobs and of tenants: which, what is wrong in them, and whether what they said before goes on."""
    async with world([ACME, GLOBEX], plant=[JOB]) as running:
        here = folder.at(running.tenants_url)
        here.write()
        jobs, tenants = here.jobs("- {id: e1, operation: export}\n"), here.tenants("- {name: a/b}\n")
        await running.exporter.files.reload(here.read)
        said = await words(running)
        assert f"{tenants} is bad; nothing of it is in use {tenants}:1: [0].name: must be 1 to 64 letters" in said
        assert str(jobs) not in said
        tenants.write_text(here.other())
        await running.exporter.files.reload(here.read)
        assert "is bad" not in await words(running)
        tenants.write_text("[")
        jobs.write_text("- {id: <i>, operation: export}\n")
        await running.exporter.files.reload(here.read)
        said = await words(running)
        rule = "must be 1 to 64 letters, digits, dots, underscores or hyphens, got '<i>'"
        assert f"{jobs} is bad; what it said before goes on {jobs}:1: [0].id: {rule}" in said
        assert f"{tenants} is bad; what it said before goes on {tenants}:1: not valid YAML" in said
        jobs.unlink()
        tenants.write_text(here.other())
        await running.advance(2)
        await running.exporter.files.reload(here.read)
        assert "is bad" not in await words(running)


async def test_the_status_page_names_some_of_many_problems(folder: Folder) -> None:
    """A file with a thousand mistakes does not bury the tenants."""
    async with world([ACME, GLOBEX]) as running:
        here = folder.at(running.tenants_url)
        here.write()
        here.jobs("- {id: a}\n" * 1000)
        await running.exporter.files.reload(here.read)
        said = await words(running)
        assert said.count("operation: is missing") == 10
        assert said.endswith("and 990 more, which the log names")


async def test_reloads_at_once_are_made_one_after_another(folder: Folder) -> None:
    """What was read later is what runs in the end, however long the earlier reading takes."""
    went_on, calls = threading.Event(), []

    def slow(present: Config) -> Config:
        calls.append("slow begins")
        config = here.read(present)
        went_on.wait(10)
        calls.append("slow ends")
        return config

    def quick(present: Config) -> Config:
        calls.append("quick")
        went_on.set()
        return here.read(present)

    async with world([ACME, GLOBEX]) as running, asyncio.TaskGroup() as tasks:
        here = folder.at(running.tenants_url)
        here.write()
        first = tasks.create_task(running.exporter.files.reload(slow))
        await until(lambda: calls == ["slow begins"])
        here.tenants(here.other())
        second = tasks.create_task(running.exporter.files.reload(quick))
        await settle()
        went_on.set()
        await asyncio.wait([first, second])
        assert calls == ["slow begins", "slow ends", "quick"]
        assert f'tenant="{GLOBEX.name}"' in (await running.scrape()).text


async def test_jobs_that_no_file_names_after_a_restart_are_let_go(folder: Folder) -> None:
    """A file that went while the exporter was down takes its jobs with it, as one that goes while it runs."""
    store = folder.path / "spexporter.db"
    folder.write()
    file = folder.jobs("- {id: e1, operation: export}\n")
    text = folder.at("{url}").text()
    async with world([ACME, GLOBEX], plant=[JOB], store=store, config=text) as first:
        await first.advance(60)
        assert (await first.scrape()).state("e1") == "COMPLETE"
    file.unlink()
    async with world(again=first, store=store, config=text) as second:
        assert (await second.scrape()).all("spconfig_job_state") == {}
    file.write_text("- {id: e1, operation: export}\n")
    async with world(again=second, store=store, config=text) as third:
        page = await third.scrape()
        assert page.state("e1") == "COMPLETE"
        assert page.value("spconfig_jobs_finished_total", operation="export", state="COMPLETE") == 1


async def test_a_job_handed_in_outlives_the_file_that_named_it_too(folder: Folder) -> None:
    """Also where the file goes while the exporter is down."""
    store = folder.path / "spexporter.db"
    folder.write()
    text = folder.at("{url}").text()
    async with world([ACME, GLOBEX], plant=[JOB], store=store, config=text) as first:
        key = JobKey(ACME.name, Operation.EXPORT, "e1")
        await first.exporter.fleet.desk.add_job(WatchedJob(key, Source.API))
        file = folder.jobs("- {id: e1, operation: export, name: in a file}\n")
        await first.advance(60)
        assert (await first.scrape()).all("spconfig_job_info", job_id="e1", source="file")
    file.unlink()
    async with world(again=first, store=store, config=text) as second:
        assert (await second.scrape()).all("spconfig_job_info", job_id="e1", source="api")


@asynccontextmanager
async def watched(running: World, here: Folder) -> AsyncIterator[asyncio.Event]:
    """Watch the configuration, in use as it is now, as the daemon does; the event stands for SIGHUP."""
    asked, files = asyncio.Event(), running.exporter.files
    await files.reload(here.read)
    watching = asyncio.create_task(files.watch_configuration(here.read, asked))
    try:
        yield asked
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def tenants(running: World) -> set[str]:
    page = await running.scrape()
    return {dict(labels)["tenant"] for labels in page.all("spconfig_tenant_info")}


def swapped(folder: Path, content: Mapping[str, str]) -> None:
    """Exchange all files of a folder in one step, as Kubernetes does with what is mounted: `..data` leads elsewhere."""
    version = folder / f"..{len(list(folder.iterdir()))}"
    version.mkdir()
    for name, text in content.items():
        (version / name).write_text(text)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    (folder / "..next").symlink_to(version.name)
    (folder / "..next").replace(folder / "..data")


@pytest.mark.parametrize("change", ["main", "tenants", "jobs"])
async def test_a_link_that_is_swapped_takes_effect_within_two_seconds(folder: Folder, change: str) -> None:
    """As Kubernetes mounts ConfigMaps: no file is written, and no notification would come."""
    async with world([ACME, GLOBEX], plant=[JOB]) as running:
        here = folder.at(running.tenants_url)
        here.write()
        main, more, jobs = here.text(), "[]", "[]"
        mounted = folder.path / "mounted"
        mounted.mkdir()

        def mount() -> None:
            swapped(mounted, {"spexporter.yaml": main, "more.yaml": more, "jobs.yaml": jobs})

        mount()
        for link, name in (
            (here.main, "spexporter.yaml"),
            (here.tenants("[]"), "more.yaml"),
            (here.jobs("[]"), "jobs.yaml"),
        ):
            link.unlink()
            link.symlink_to(mounted / name)
        async with watched(running, here):
            await running.advance(5)
            assert await tenants(running) == {ACME.name}
            match change:
                case "main":
                    main += f"  {here.other()}"
                case "tenants":
                    more = here.other()
                case "jobs":
                    jobs = "- {id: e1, operation: export}\n"
            mount()
            await running.advance(2)
            page = await running.scrape()
            assert bool(page.all("spconfig_job_info", job_id="e1")) is (change == "jobs")
            assert await tenants(running) == ({ACME.name} if change == "jobs" else {ACME.name, GLOBEX.name})


async def test_a_change_before_the_first_look_is_seen(folder: Folder) -> None:
    """What is written while the exporter starts, after it has read and before it looks, is not missed."""
    async with world([ACME, GLOBEX]) as running:
        here = folder.at(running.tenants_url)
        here.write()
        here.tenants("[]")
        files = running.exporter.files
        await files.reload(here.read)
        here.tenants(here.other())
        watching = asyncio.create_task(files.watch_configuration(here.read, asyncio.Event()))
        await running.advance(2)
        assert await tenants(running) == {ACME.name, GLOBEX.name}
        watching.cancel()


async def test_two_writings_that_look_alike_are_told_apart(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file system dates two changes alike, the look after a change finds the second."""
    monkeypatch.setattr(module, "_signature", lambda path: (path.stat().st_size,))
    async with world([ACME, GLOBEX]) as running:
        here = folder.at(running.tenants_url)
        here.write()
        async with watched(running, here):
            await running.advance(5)
            text = here.other()
            for name in ("globex-1", "globex-2", "globex-3"):
                here.tenants(text.replace(f"name: {GLOBEX.name}", f"name: {name}"))
                await running.advance(1)
                assert await tenants(running) == {ACME.name, name}


async def test_a_configuration_that_is_refused_is_refused_once(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not at each look, until the file changes again."""
    async with world([ACME, GLOBEX]) as running:
        here = folder.at(running.tenants_url)
        here.write()
        async with watched(running, here):
            await running.advance(5)
            here.write("nonsense: 1\n")
            await running.advance(30)
            assert (await running.scrape()).value("spexporter_config_last_reload_successful") == 0
            here.write()
            await running.advance(30)
            assert (await running.scrape()).value("spexporter_config_last_reload_successful") == 1
    said = capsys.readouterr().err
    assert said.count("event=config_refused") == 1
    assert said.count("event=config_reloaded") == 2


async def test_a_file_that_may_be_read_again_is_read_again(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in it need change: that its folder can be listed again, or another mode, is enough."""
    scandir, refused = os.scandir, [False]

    def scan(path: Path) -> Iterator[os.DirEntry[str]]:
        if refused[0] and path.name == "tenants.d":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("spexporter.config.patterns.os.scandir", scan)
    async with world([ACME, GLOBEX]) as running:
        here = folder.at(running.tenants_url)
        here.write()
        file = here.tenants(here.other())
        async with watched(running, here):
            await running.advance(5)
            refused[0] = True
            await running.advance(2)
            page = await running.scrape()
            assert (page.value("spexporter_watched_files_bad"), await tenants(running)) == (1, {ACME.name, GLOBEX.name})
            refused[0] = False
            await running.advance(2)
            assert (await running.scrape()).value("spexporter_watched_files_bad") == 0
            reloads = (await running.scrape()).value("spexporter_config_last_reload_success_timestamp_seconds")
            file.chmod(0o600)
            await running.advance(2)
            assert (await running.scrape()).value("spexporter_config_last_reload_success_timestamp_seconds") != reloads


async def test_what_is_asked_for_is_done_within_two_seconds_though_nothing_has_changed(folder: Folder) -> None:
    """SIGHUP reads again what only looks the same."""
    async with world([ACME, GLOBEX]) as running:
        here = folder.at(running.tenants_url)
        here.write()
        async with watched(running, here) as asked:
            await running.advance(30)
            before_s = running.clock.wall()
            asked.set()
            await running.advance(1)
            page = await running.scrape()
    assert page.value("spexporter_config_last_reload_success_timestamp_seconds") == pytest.approx(before_s, abs=1)


def tokens(running: World) -> dict[str, int]:
    """Return how many token requests each tenant has received."""
    return {
        plan.name: len(running.simulator.record.times_s(plan.client_id, "token", count_tokens=True))
        for plan in running.simulator.plans
    }


async def test_a_rotated_secret_costs_nobody_a_token_who_has_one(folder: Folder) -> None:
    """The tenant goes on with its token and renews it with the new secret; nothing changes for others."""
    secret = folder.path / "secret"
    secret.write_text(ACME.client_secret)
    plans = [replace(ACME, token_lifetime_s=600), GLOBEX]
    async with world(plans) as running:
        here = folder.at(running.tenants_url)
        here.write(f"  {here.other()}")
        text = here.main.read_text()
        here.main.write_text(text.replace(f"client_secret: {ACME.client_secret}", f"client_secret_file: {secret}"))
        async with watched(running, here):
            await running.advance(60)
            before = tokens(running)
            assert before == {ACME.name: 1, GLOBEX.name: 1}
            running.simulator.rotate_secret(ACME.name, "another-planted-secret")
            secret.write_text("another-planted-secret")
            await running.advance(400)
            assert tokens(running) == before
            await running.advance(200)
            assert tokens(running) == {**before, ACME.name: before[ACME.name] + 1}
            page = await running.scrape()
    assert set(page.all("spconfig_tenant_up").values()) == {1}
    assert page.value("spexporter_api_errors_total", tenant=ACME.name, reason="unauthorized") == 0


async def test_a_refused_credential_is_tried_at_once_when_its_file_changes(folder: Folder) -> None:
    """Within seconds of the file's change, not of the next probe; the other tenant gets no token for it."""
    secret = folder.path / "secret"
    secret.write_text("wrong-planted-secret")
    async with world([ACME, GLOBEX], plant=[JOB]) as running:
        here = folder.at(running.tenants_url)
        here.write(f"  {here.other()}")
        text = here.main.read_text()
        here.main.write_text(text.replace(f"client_secret: {ACME.client_secret}", f"client_secret_file: {secret}"))
        here.jobs("- {id: e1, operation: export}\n")
        async with watched(running, here):
            await running.advance(200)
            assert (await running.scrape()).value("spconfig_tenant_up", tenant=ACME.name) == 0
            before = tokens(running)
            secret.write_text(f"{ACME.client_secret}\n")
            await running.advance(8)
            page = await running.scrape()
            assert page.value("spconfig_tenant_up", tenant=ACME.name) == 1
            assert page.state("e1") == "COMPLETE"
            assert tokens(running) == {**before, ACME.name: before[ACME.name] + 1}


async def test_fifty_reloads_leave_no_task_and_no_descriptor_behind(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tenants come, go and begin anew, files are bad and good: in the end as much runs as at the beginning."""
    async with world([ACME, GLOBEX], plant=[JOB]) as running:
        here = folder.at(running.tenants_url)
        here.write()
        here.tenants(here.other())
        async with watched(running, here) as asked:
            await running.advance(60)
            before = await left_open(running)
            for number in range(10):
                here.tenants("[]")
                await running.advance(2)
                here.tenants(here.other().replace("}", f", rate_limit: {{requests: {90 - number}, per: 10s}}}}"))
                await running.advance(2)
                here.tenants("[")
                here.jobs("- {id: e1, operation: export}\n" * (1 + number % 2))
                await running.advance(2)
                here.tenants(here.other())
                here.write("nonsense: 1\n" * (number % 2))
                asked.set()
                await running.advance(2)
                here.write()
                await running.advance(2)
            await running.advance(60)
            assert await tenants(running) == {ACME.name, GLOBEX.name}
            assert await left_open(running) == before
    said = capsys.readouterr().err
    assert said.count("event=config_reloaded") + said.count("event=config_refused") >= 50
    assert said.count("event=config_refused") == 5


async def left_open(running: World) -> tuple[list[str], int]:
    """Return the names of the tasks that run, without their numbers, and how many descriptors are open."""
    gc.collect()
    await running.settle()
    return sorted(re.sub(r"\d+$", "", task.get_name()) for task in asyncio.all_tasks()), descriptors()


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
