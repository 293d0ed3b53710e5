"""`--web.config.file` with Prometheus itself as the client: who may come in does, who may not is told why."""

import asyncio
import json
import signal
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trustme

from spexporter.config.webconfig import load_web_config
from spexporter.domain.errors import ConfigError
from tests.support.eventually import eventually
from tests.support.papers import Papers, hashed, papers
from tests.support.program import LOOPBACK, Program, spexporter
from tests.support.prometheus import Prometheus, prometheus_with, promtool

# Nobody listens on this port: the doors of an exporter need no tenant that answers.
CONFIG = """
store: {url: "sqlite://"}
tenants: [{name: acme, base_url: "http://127.0.0.1:1", client_id: c, client_secret: s}]
"""
PASSWORD, WRONG = "planted-hunter2", "planted-hunter3"
WITHIN_S = 30.0


@asynccontextmanager
async def exporter(folder: Path, name: str, web: object = None) -> AsyncIterator[tuple[Program, str]]:
    """Run an exporter with this web configuration; it tells host and port."""
    config, web_file = folder / f"{name}.yaml", folder / f"{name}-web.yaml"
    config.write_text(CONFIG)
    web_file.write_text(json.dumps(web or {}))
    flags = ("--config.file", config, "--web.config.file", web_file, "--web.listen-address", LOOPBACK)
    async with spexporter("run", *flags, "--log.level", "debug", folder=folder, name=name) as daemon:
        yield daemon, (await daemon.url()).partition("://")[2]
        assert (await daemon.end(signal.SIGTERM)).status == 0
        assert not [secret for secret in (PASSWORD, WRONG, "alice", "mallory") if secret in daemon.printed()]


def tls_of(own: Papers, **more: object) -> dict[str, object]:
    return {"cert_file": str(own.cert), "key_file": str(own.key), **more}


def scrape(name: str, target: str, **how: object) -> dict[str, object]:
    return {"job_name": name, "static_configs": [{"targets": [target]}], **how}


def trusting(authority: Papers, client: Papers | None = None) -> dict[str, object]:
    pair = {"cert_file": str(client.cert), "key_file": str(client.key)} if client else {}
    return {"scheme": "https", "tls_config": {"ca_file": str(authority.authority), **pair}}


def as_user(username: str, password: str) -> dict[str, object]:
    return {"basic_auth": {"username": username, "password": password}}


async def health(running: Prometheus) -> Mapping[str, tuple[str, str]]:
    """Wait until each target was scraped, and return its health and last error by job."""

    async def look() -> Mapping[str, tuple[str, str]] | None:
        targets = (await running.get("targets"))["activeTargets"]
        if any(target["health"] == "unknown" for target in targets):
            return None
        return {target["labels"]["job"]: (target["health"], target["lastError"]) for target in targets}

    return await eventually(look, "each target was scraped", within_s=WITHIN_S)


async def test_prometheus_comes_in_where_it_may_and_nowhere_else(tmp_path: Path) -> None:
    """Plain, TLS, another authority, certificates of clients, and passwords, right and wrong."""
    server, stranger = papers(tmp_path, "server"), papers(tmp_path, "stranger")
    clients = trustme.CA()
    client = papers(tmp_path, "client", "prometheus.example", authority=clients)
    namesake = papers(tmp_path, "namesake", "other.example", authority=clients)
    asked: dict[str, object] = {
        "client_auth_type": "RequireAndVerifyClientCert",
        "client_ca_file": str(client.authority),
    }
    users = {"basic_auth_users": {"alice": hashed(PASSWORD, 10)}}
    webs = {
        "plain": None,
        "tls": {"tls_server_config": tls_of(server)},
        "clients": {"tls_server_config": tls_of(server, **asked)},
        "names": {"tls_server_config": tls_of(server, **asked, client_allowed_sans=["prometheus.example"])},
        "optional": {"tls_server_config": tls_of(server, **asked | {"client_auth_type": "VerifyClientCertIfGiven"})},
        "users": users,
        "both": {"tls_server_config": tls_of(server), **users},
    }
    async with AsyncExitStack() as stack:
        at = {name: (await stack.enter_async_context(exporter(tmp_path, name, web)))[1] for name, web in webs.items()}
        secure = trusting(server)
        expected = {
            "plain": (scrape("plain", at["plain"]), ""),
            "tls": (scrape("tls", at["tls"], **secure), ""),
            "plain to tls": (scrape("plain to tls", at["tls"]), "EOF|reset by peer|malformed"),
            "tls to plain": (scrape("tls to plain", at["plain"], **secure), "gave HTTP response to HTTPS|first record"),
            "other authority": (scrape("other authority", at["tls"], **trusting(stranger)), "unknown authority"),
            "client": (scrape("client", at["clients"], **trusting(server, client)), ""),
            "no client": (scrape("no client", at["clients"], **secure), "certificate required|EOF|reset by peer"),
            "strange client": (
                scrape("strange client", at["clients"], **trusting(server, stranger)),
                "unknown certificate|EOF|reset by peer",
            ),
            "right name": (scrape("right name", at["names"], **trusting(server, client)), ""),
            "wrong name": (scrape("wrong name", at["names"], **trusting(server, namesake)), "EOF|reset"),
            "optional without": (scrape("optional without", at["optional"], **secure), ""),
            "optional with": (scrape("optional with", at["optional"], **trusting(server, client)), ""),
            "optional strange": (
                scrape("optional strange", at["optional"], **trusting(server, stranger)),
                "unknown certificate|EOF|reset by peer",
            ),
            "right": (scrape("right", at["users"], **as_user("alice", PASSWORD)), ""),
            "wrong": (scrape("wrong", at["users"], **as_user("alice", WRONG)), "401 Unauthorized"),
            "unknown": (scrape("unknown", at["users"], **as_user("mallory", PASSWORD)), "401 Unauthorized"),
            "nobody": (scrape("nobody", at["users"]), "401 Unauthorized"),
            "too long": (scrape("too long", at["users"], **as_user("alice", PASSWORD * 9)), "401 Unauthorized"),
            "right and tls": (scrape("right and tls", at["both"], **secure, **as_user("alice", PASSWORD)), ""),
            "nobody and tls": (scrape("nobody and tls", at["both"], **secure), "401 Unauthorized"),
        }
        running = await stack.enter_async_context(
            prometheus_with([config for config, _ in expected.values()], tmp_path)
        )
        seen = await health(running)
    wrong = {
        name: seen[name]
        for name, (_, error) in expected.items()
        if (seen[name] != ("up", "") if not error else not any(part in seen[name][1] for part in error.split("|")))
    }
    assert wrong == {}
    assert seen.keys() == expected.keys()
    said = {name: (tmp_path / f"{name}.stderr").read_text() for name in webs}
    assert "event=connection_refused peer=127.0.0.1 reason=PEER_DID_NOT_RETURN_A_CERTIFICATE" in said["clients"]
    assert "event=connection_refused peer=127.0.0.1 reason=CERTIFICATE_VERIFY_FAILED" in said["optional"]
    assert 'reason="the certificate has none of client_allowed_sans"' in said["names"]


async def test_new_certificate_is_used_without_a_failed_scrape(tmp_path: Path) -> None:
    """While Prometheus scrapes over one connection and a crowd over new ones; a bad pair leaves the one before."""
    old, new = papers(tmp_path, "server"), papers(tmp_path, "new")
    both = tmp_path / "both.pem"
    both.write_bytes(old.authority.read_bytes() + new.authority.read_bytes())
    trust = ssl.create_default_context(cafile=both)
    certificates = [ssl.PEM_cert_to_DER_cert(one.cert.read_text()) for one in (old, new)]
    served: list[bytes] = []
    ended = asyncio.Event()

    async def crowd(port: str) -> None:
        """Ask over a new connection each time."""
        while not ended.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
            served.append(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
            writer.close()
            await writer.wait_closed()

    def serves(certificate: bytes) -> asyncio.Future[bool]:
        before = len(served)

        async def look() -> bool:
            return len(served) > before + 8 and served[-8:] == [certificate] * 8

        return asyncio.ensure_future(eventually(look, "this certificate", within_s=WITHIN_S))

    how = {"scheme": "https", "tls_config": {"ca_file": str(both)}}
    async with (
        exporter(tmp_path, "exporter", {"tls_server_config": tls_of(old)}) as (daemon, target),
        prometheus_with([scrape("spexporter", target, **how)], tmp_path) as running,
        asyncio.TaskGroup() as tasks,
    ):
        for _ in range(4):
            tasks.create_task(crowd(target.partition(":")[2]))
        await running.eventually("count_over_time(up[1m]) > 2", within_s=WITHIN_S)
        assert await serves(certificates[0])
        old.replace_by(new)
        assert await serves(certificates[1])
        old.key.write_text("half a key")
        await daemon.says("event=web_config_kept")
        assert await serves(certificates[1])
        old.replace_by(new)
        await running.eventually("count_over_time(up[1m]) > 8", within_s=WITHIN_S)
        assert await running.values("min_over_time(up[1m])") == [1]
        ended.set()
    assert set(served) == set(certificates)
    print(f"{len(served)} scrapes over new connections besides Prometheus', none failed")  # noqa: T201 - with -s


PAIR = "cert_file: server.pem, key_file: server.key"
CLIENTS = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: server-ca.pem"
GOOD = {
    "nothing": "",
    "tls": f"tls_server_config: {{{PAIR}}}",
    "clients": f"tls_server_config: {{{PAIR}, {CLIENTS}}}",
    "versions": f"tls_server_config: {{{PAIR}, min_version: TLS10, max_version: TLS12}}",
    "ciphers": f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256]}}",
    "curves": f"tls_server_config: {{{PAIR}, curve_preferences: [CurveP256, X25519]}}",
    "headers": "http_server_config: {http2: true, headers: {X-Frame-Options: deny, X-XSS-Protection: '0'}}",
    "users": f"basic_auth_users: {{alice: {hashed(PASSWORD)}}}",
}
BAD = {
    "key": "tls_config: {}",
    "no key file": "tls_server_config: {cert_file: server.pem}",
    "no such file": "tls_server_config: {cert_file: server.pem, key_file: gone.key}",
    "no pair": "tls_server_config: {cert_file: server.pem, key_file: other.key}",
    "kind": f"tls_server_config: {{{PAIR}, client_auth_type: Never}}",
    "authority alone": f"tls_server_config: {{{PAIR}, client_ca_file: server-ca.pem}}",
    "version": f"tls_server_config: {{{PAIR}, min_version: SSL30}}",
    "cipher": f"tls_server_config: {{{PAIR}, cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}}",
    "curve": f"tls_server_config: {{{PAIR}, curve_preferences: [P256]}}",
    "header": "http_server_config: {headers: {Server: x}}",
    "frames": "http_server_config: {headers: {X-Frame-Options: DENY}}",
    "boolean": "http_server_config: {http2: maybe}",
    "password": "basic_auth_users: {alice: planted}",
}


async def both_take(text: str, folder: Path) -> tuple[bool, bool]:
    """Tell whether we take a file, and whether Prometheus does."""
    papers(folder, "server")
    papers(folder, "other")
    file = folder / "web.yaml"
    file.write_text(text)
    try:
        load_web_config(file)
    except ConfigError:
        ours = False
    else:
        ours = True
    status, _ = await promtool("check", "web-config", file)
    return ours, status == 0


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
async def test_good_file_is_one_for_prometheus_too(text: str, tmp_path: Path) -> None:
    """One file serves both."""
    assert await both_take(text, tmp_path) == (True, True)


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
async def test_bad_file_is_one_for_prometheus_too(text: str, tmp_path: Path) -> None:
    """We are no stricter than it here."""
    assert await both_take(text, tmp_path) == (False, False)
