"""The pages for people of one of several replicas: tenants that others watch are named there, too."""

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
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


async def read(url: str) -> tuple[int, str]:
    """Return the status of an answer, and its text in one line."""
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status, " ".join((await response.text()).split())


@pytest.mark.parametrize("pages", [(["acme"], {"globex": "node-2/7", "initech": ""})], indirect=True)
async def test_first_page_names_all_tenants_and_who_watches_them(pages: str) -> None:
    _, text = await read(pages)
    assert "Watched by other replicas: 2" in text
    assert "<li>globex: node-2/7</li>" in text
    assert "<li>initech: nobody yet</li>" in text
    assert "All is well: every tenant answers." in text


@pytest.mark.parametrize("pages", [([], {f"t{number:03}": "node-2/7" for number in range(TENANTS + 1)})], indirect=True)
async def test_replica_without_tenants_does_not_say_that_there_are_none(pages: str) -> None:
    last = f"<li>t{TENANTS:03}: node-2/7</li>"
    _, text = await read(pages)
    assert f"This replica watches no tenant; {TENANTS + 1} are watched elsewhere." in text
    assert "No tenants are configured." not in text
    assert last not in text
    assert last in (await read(f"{pages}?tenants=all"))[1]


@pytest.mark.parametrize("pages", [(["acme"], {"globex": "node-2/7", "initech": ""})], indirect=True)
async def test_page_of_a_tenant_says_who_watches_it(pages: str) -> None:
    assert "another replica (node-2/7) watches tenant globex now" in (await read(f"{pages}tenants/globex"))[1]
    status, text = await read(f"{pages}tenants/initech")
    assert (status, "another replica watches tenant initech now" in text) == (404, True)
