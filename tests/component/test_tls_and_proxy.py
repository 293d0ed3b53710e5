import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from spexporter.domain.values import replace
from spexporter.simulator import TenantPlan, default_plans
from spexporter.simulator.certificate import make_certificate
from tests.support.proxy import Proxy, proxying
from tests.support.secrets import PROXY_PASSWORD
from tests.support.world import World, world

PLAN: TenantPlan = replace(default_plans(1)[0], starts_per_minute=0.0)
TENANT = PLAN.name
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Authority(NamedTuple):
    """A certificate for loopback, and the file of the authority that signed it."""

    context: ssl.SSLContext
    ca_file: str


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    context, ca_file = make_certificate("127.0.0.1", tmp_path)
    return Authority(context, str(ca_file))


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    async with proxying() as proxy:
        yield proxy


@asynccontextmanager
async def polled(
    *, defaults: str = "", tls: ssl.SSLContext | None = None, ca_file: str | None = None
) -> AsyncIterator[World]:
    """Run an exporter that has looked at all jobs of one tenant."""
    async with world([PLAN], defaults=defaults, tls=tls, ca_file=ca_file) as running:
        await running.advance(15.0)
        yield running


async def is_watched(running: World) -> bool:
    """Tell whether the tenant is up and each of its jobs was seen."""
    page = await running.scrape()
    seen = [value for value in page.all("spconfig_job_state", tenant=TENANT).values() if value]
    return page.value("spconfig_tenant_up", tenant=TENANT) == 1 and len(seen) == PLAN.jobs_at_start


async def test_tenant_with_a_private_authority_is_watched_with_its_ca_file(authority: Authority) -> None:
    """Tokens, statuses and results travel over TLS that `ca_file` vouches for."""
    async with polled(tls=authority.context, ca_file=authority.ca_file) as running:
        assert running.tenants_url.startswith("https://")
        assert await is_watched(running)


async def test_tenant_with_a_private_authority_is_down_and_told_of_ca_file(authority: Authority) -> None:
    """Without `ca_file` no token is sent; the status page says what is wrong and names the key that cures it."""
    async with polled(tls=authority.context) as running:
        page, (_, status_page) = await running.scrape(), await running.get("/")
        assert page.value("spconfig_tenant_up", tenant=TENANT) == 0
        assert '<span class="health">down</span>' in status_page
        assert "certificate verify failed" in status_page
        assert "What helps: set ca_file" in status_page
        assert page.value("spexporter_api_errors_total", tenant=TENANT, reason="unreachable")
        assert not running.simulator.truth()["clients"], "something was sent all the same"


async def test_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    """A known authority is not enough: the host in `base_url` must be the one that the certificate names."""
    issuer = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer.issue_cert("elsewhere.example").configure_cert(context)
    issuer.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with polled(tls=context, ca_file=str(tmp_path / "ca.pem")) as running:
        page, (_, status_page) = await running.scrape(), await running.get("/")
        assert page.value("spconfig_tenant_up", tenant=TENANT) == 0
        assert "check the host name in base_url" in status_page
        assert not running.simulator.truth()["clients"], "something was sent all the same"


async def test_proxy_of_the_configuration_carries_plain_requests(proxy: Proxy) -> None:
    """With `proxy` every exchange goes through it."""
    async with polled(defaults=f"  proxy: {proxy.url}") as running:
        assert await is_watched(running)
        base_url = f"{running.tenants_url}/{TENANT}"
        sent = sum(map(len, running.simulator.record.exchanges.values()))
    assert f"POST {base_url}/oauth/token" in proxy.asked
    assert f"GET {base_url}/sp-config/v1/config-objects" in proxy.asked
    assert len(proxy.asked) == sent


async def test_proxy_of_the_configuration_tunnels_tls(proxy: Proxy, authority: Authority) -> None:
    """TLS goes from end to end: the proxy sees the host's name and no path."""
    defaults = f"  proxy: {proxy.url}"
    async with polled(defaults=defaults, tls=authority.context, ca_file=authority.ca_file) as running:
        assert await is_watched(running)
        host = running.tenants_url.removeprefix("https://")
    assert set(proxy.asked) == {f"CONNECT {host}"}


@pytest.mark.parametrize("spelling", [str.lower, str.upper], ids=["lower case", "upper case"])
async def test_proxy_of_the_environment_is_used(
    spelling: Callable[[str], str], proxy: Proxy, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS_PROXY is for tenants over TLS, without any key in the configuration."""
    monkeypatch.setenv(spelling("https_proxy"), proxy.url)
    async with polled(tls=authority.context, ca_file=authority.ca_file) as running:
        assert await is_watched(running)
    assert proxy.asked


async def test_no_proxy_of_the_environment_wins_over_its_proxy(
    proxy: Proxy, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that NO_PROXY names is asked directly."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "elsewhere.example,127.0.0.1")
    async with polled(tls=authority.context, ca_file=authority.ca_file) as running:
        assert await is_watched(running)
    assert proxy.asked == []


async def test_proxy_of_the_configuration_wins_over_no_proxy(
    proxy: Proxy, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes `proxy` for a tenant means it."""
    monkeypatch.setenv("NO_PROXY", "*")
    defaults = f"  proxy: {proxy.url}"
    async with polled(defaults=defaults, tls=authority.context, ca_file=authority.ca_file) as running:
        assert await is_watched(running)
    assert proxy.asked


async def test_proxy_that_is_not_there_is_named_as_the_place_to_look() -> None:
    """The tenant is down, the cure names the proxy setting, and the proxy's password stays a secret."""
    async with polled(defaults=f'  proxy: "http://someone:{PROXY_PASSWORD}@127.0.0.1:1"') as running:
        page, (_, status_page) = await running.scrape(), await running.get("/")
        assert page.value("spconfig_tenant_up", tenant=TENANT) == 0
        assert "the proxy setting" in status_page
        assert PROXY_PASSWORD not in status_page + page.text
