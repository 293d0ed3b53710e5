"""The pages for people, and the API, of one of several replicas: tenants that others watch are named there, too."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from spexporter.board import LatestViews
from spexporter.clock import SystemClock
from spexporter.domain.chronicle import Chronicle
from spexporter.domain.view import TenantHealth, TenantState, TenantView
from spexporter.web.api import Api
from spexporter.web.known import Known
from spexporter.web.notices import Notices
from spexporter.web.overview import TENANTS
from spexporter.web.pages import Pages

NOTHING_TO_COME = SimpleNamespace(next_look_s=lambda _: None, budget=lambda _: None)


@pytest.fixture
async def pages(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Serve the pages of a replica that watches the tenants `here`, and return their URL."""
    here, elsewhere = request.param
    board = LatestViews()
    for name in here:
        board.put(TenantView(name, 1, TenantState(), TenantHealth("https://here.example", up=True)))
    known = Known(board, cast("Any", NOTHING_TO_COME), Chronicle(), SystemClock(), lambda: elsewhere)
    app = web.Application()
    Pages(known, Notices()).add_to(app.router)
    Api(known, cast("Any", None), lifecycle=False).add_to(app.router)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


async def read(url: str) -> tuple[int, str]:
    """Return the status of an answer, and its text in one line."""
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status, " ".join((await response.text()).split())


@pytest.mark.parametrize("pages", [(["acme"], {"globex": "node-2/7", "initech": ""})], indirect=True)
async def test_first_page_names_all_tenants_and_who_watches_them(pages: str) -> None:
    _, text = await read(pages)
    assert "Tenants that this replica does not watch: 2" in text
    assert "<li>globex: node-2/7</li>" in text
    assert "<li>initech: nobody</li>" in text
    assert "1 of 3 tenants (initech) is watched by nobody: is the database away?" in text


@pytest.mark.parametrize("pages", [(["acme"], {"globex": "node-2/7"})], indirect=True)
async def test_all_is_well_while_somebody_watches_each_tenant(pages: str) -> None:
    assert "All is well: every tenant answers." in (await read(pages))[1]


@pytest.mark.parametrize("pages", [([], {f"t{number:03}": "node-2/7" for number in range(TENANTS + 1)})], indirect=True)
async def test_replica_without_tenants_does_not_say_that_there_are_none(pages: str) -> None:
    last = f"<li>t{TENANTS:03}: node-2/7</li>"
    _, text = await read(pages)
    assert f"This replica watches no tenant; others watch {TENANTS + 1}." in text
    assert "No tenants are configured." not in text
    assert last not in text
    assert last in (await read(f"{pages}?tenants=all"))[1]


@pytest.mark.parametrize("pages", [(["acme"], {"globex": "node-2/7", "initech": ""})], indirect=True)
@pytest.mark.parametrize("path", ["tenants/{}", "jobs/{}/import/synthetic"])
@pytest.mark.parametrize(
    ("tenant", "words"),
    [
        ("globex", "another replica (node-2/7) watches tenant globex now; ask that one, or try again."),
        ("initech", "no replica watches tenant initech yet; try again."),
    ],
)
async def test_page_of_a_tenant_or_a_job_says_who_watches_it(pages: str, path: str, tenant: str, words: str) -> None:
    """To say that there is none would be wrong: it may be any moment here."""
    async with aiohttp.ClientSession() as http, http.get(pages + path.format(tenant)) as response:
        told, text = response.headers, " ".join((await response.text()).split())
        assert (response.status, told["Retry-After"], told["Connection"]) == (503, "5", "close")
    assert words in text
    assert "nothing here" not in text


@pytest.mark.parametrize("pages", [(["acme"], {"globex": "node-2/7"})], indirect=True)
@pytest.mark.parametrize(
    "path", ["jobs/globex/import/synthetic", "jobs?tenant=globex", "jobs?tenant=acme&tenant=globex"]
)
async def test_api_does_not_say_that_another_replica_s_jobs_are_none(pages: str, path: str) -> None:
    """Whoever asks through a load balancer is told to try again, over a connection that may lead elsewhere."""
    async with aiohttp.ClientSession() as http, http.get(f"{pages}api/v1/{path}") as response:
        told = response.headers
        assert (response.status, told["Retry-After"], told["Connection"]) == (503, "5", "close")
        error = "another replica (node-2/7) watches tenant globex now; ask that one, or try again"
        assert await response.json() == {"error": error}


@pytest.mark.parametrize("pages", [(["acme"], {"globex": "node-2/7"})], indirect=True)
async def test_api_knows_the_names_of_tenants_that_are_watched_elsewhere(pages: str) -> None:
    assert await read(f"{pages}api/v1/jobs?tenant=acme") == (200, '{"jobs":[]}')
    status, text = await read(f"{pages}api/v1/jobs?tenant=globx")
    assert (status, "globex" in text) == (400, True)
