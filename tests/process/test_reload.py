import asyncio
import signal
from pathlib import Path

import aiohttp

from tests.support.eventually import eventually
from tests.support.program import LOOPBACK, Program, answer, ready, spexporter
from tests.support.world import Scrape, scrape

CONFIG = """
store: {url: "sqlite://"}
tenant_files: [tenants/*.yaml]
tenants: []
"""
WITHIN_S = 15.0


def tenant(name: str, jobs: str = "[]") -> str:
    # Nobody listens on this port: a reload needs no tenant that answers.
    return f'- {{name: {name}, base_url: "http://127.0.0.1:1", client_id: c, client_secret: s, jobs: {jobs}}}\n'


async def tenants(url: str) -> set[str]:
    page: Scrape = await scrape(url)
    return {dict(labels)["tenant"] for labels in page.all("spconfig_tenant_info")}


async def posted(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as http, http.post(f"{url}/-/reload") as response:
        return response.status, await response.text()


async def changes(url: str, expected: set[str]) -> None:
    async def look() -> bool:
        return await tenants(url) == expected

    await eventually(look, f"{expected} at {url}", within_s=WITHIN_S)


async def says(daemon: Program, event: str) -> None:
    """Wait until the log has an event."""

    async def look() -> bool:
        return event in daemon.printed()

    await eventually(look, event, within_s=WITHIN_S)


async def test_files_signals_and_requests_reload(tmp_path: Path) -> None:
    """A tenant file that comes, changes badly and goes; SIGHUP; POST: each is taken over or refused with its reason."""
    folder = tmp_path / "tenants"
    folder.mkdir()
    config = tmp_path / "spexporter.yaml"
    config.write_text(CONFIG.replace("tenants: []", "tenants:\n" + tenant("acme")))
    flags = ("--config.file", config, "--web.listen-address", LOOPBACK, "--web.enable-lifecycle")
    async with spexporter("run", *flags, folder=tmp_path) as daemon:
        url = await daemon.url()
        await ready(url)
        assert await tenants(url) == {"acme"}
        (folder / "globex.yaml").write_text(tenant("globex"))
        await changes(url, {"acme", "globex"})
        (folder / "globex.yaml").write_text(tenant("globex", "[{id: x}]"))
        await says(daemon, "file_refused")
        assert await tenants(url) == {"acme", "globex"}
        assert (await scrape(url)).value("spexporter_watched_files_bad") == 1
        (folder / "globex.yaml").unlink()
        await changes(url, {"acme"})
        config.write_text("tenants: [{name: acme}]\n")
        status, text = await posted(url)
        assert status == 500
        assert "the old configuration goes on" in text
        assert "client_id" in text
        assert await tenants(url) == {"acme"}
        config.write_text(CONFIG.replace("tenants: []", "tenants:\n" + tenant("initech")))
        daemon.process.send_signal(signal.SIGHUP)
        await changes(url, {"initech"})
        assert await posted(url) == (200, "Reloaded.\n")
        assert (await daemon.end(signal.SIGTERM)).status == 0


async def test_reload_over_http_needs_to_be_allowed(tmp_path: Path) -> None:
    """Without the flag nobody can ask for it over the network."""
    config = tmp_path / "spexporter.yaml"
    config.write_text(CONFIG.replace("tenants: []", "tenants:\n" + tenant("acme")))
    async with spexporter("run", "--config.file", config, "--web.listen-address", LOOPBACK, folder=tmp_path) as daemon:
        url = await daemon.url()
        async with asyncio.timeout(WITHIN_S):
            assert await posted(url) == (403, "Reloading over HTTP needs --web.enable-lifecycle.\n")
            assert (await answer(f"{url}/-/healthy"))[0] == 200
        assert (await daemon.end(signal.SIGTERM)).status == 0
