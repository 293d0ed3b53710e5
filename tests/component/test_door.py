"""Who may come in, what every answer says besides, and what a changed file changes."""

import base64
import json
import socket
import ssl
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch

import aiohttp
import pytest

from spexporter.domain.errors import StartError
from spexporter.web import passwords
from spexporter.web.listeners import Address, UnixSocket
from tests.support.papers import hashed, papers
from tests.support.world import World, world

PASSWORD = "planted-hunter2"
USERS = {"basic_auth_users": {"alice": hashed(PASSWORD)}}


def basic(user: str, password: str) -> str:
    """Return what a browser sends."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


ALICE = basic("alice", PASSWORD)


@asynccontextmanager
async def serving(folder: Path, web: object) -> AsyncIterator[World]:
    """Run an exporter without tenants, with this web configuration in `web.yaml`."""
    (folder / "web.yaml").write_text(json.dumps(web))
    async with world(config=CONFIG, web_config=folder / "web.yaml", lifecycle=True) as running:
        yield running


CONFIG = 'tenants: [{name: acme, base_url: "http://127.0.0.1:1", client_id: c, client_secret: s}]\n'


async def asked(
    running: World, path: str, method: str = "GET", auth: str | None = None
) -> tuple[int, Mapping[str, str], str]:
    headers = {} if auth is None else {"Authorization": auth}
    async with aiohttp.ClientSession() as http, http.request(method, running.url + path, headers=headers) as it:
        return it.status, it.headers, await it.text()


@pytest.mark.parametrize("path", ["/metrics", "/", "/sd", "/probe", "/api/v1/jobs", "/nothing", "/-/healthy/x"])
async def test_everything_but_probes_needs_a_password(path: str, tmp_path: Path) -> None:
    """Also what does not exist: nobody finds out what does."""
    async with serving(tmp_path, USERS) as running:
        status, headers, text = await asked(running, path)
        assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="spexporter"')
        assert text == "This needs a user and a password.\n"
        assert (await asked(running, path, auth=ALICE))[0] != 401


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready"])
async def test_probes_are_for_everybody(path: str, tmp_path: Path) -> None:
    """Whatever looks after the process has no password."""
    async with serving(tmp_path, USERS) as running:
        assert (await asked(running, path))[0] in (200, 503)


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
async def test_changes_need_a_password_too(method: str, tmp_path: Path) -> None:
    """Of any method, before anything of it is looked at."""
    async with serving(tmp_path, USERS) as running:
        assert (await asked(running, "/-/reload", method))[0] == 401
        assert (await asked(running, "/-/reload", "POST", ALICE))[0] == 200


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("", id="nothing"),
        pytest.param("Basic", id="no-text"),
        pytest.param("Basic !!!", id="no-base64"),
        pytest.param("Basic " + base64.b64encode(b"alice").decode(), id="no-colon"),
        pytest.param("Basic " + base64.b64encode(b"\xff:\xff\0").decode(), id="no-utf-8"),
        pytest.param("Bearer " + base64.b64encode(f"alice:{PASSWORD}".encode()).decode(), id="other-kind"),
        pytest.param("Basic " + base64.b64encode(b"alice:" + b"x" * 4000).decode(), id="very-long"),
        pytest.param("Basic " + base64.b64encode(b":").decode(), id="empty"),
    ],
)
async def test_odd_credentials_are_401(given: str, tmp_path: Path) -> None:
    """And never a failure of ours."""
    async with serving(tmp_path, USERS) as running:
        assert (await asked(running, "/metrics", auth=given))[0] == 401


async def test_password_may_have_a_colon(tmp_path: Path) -> None:
    """The first one ends the name of the user."""
    async with serving(tmp_path, {"basic_auth_users": {"alice": hashed("a:b:c")}}) as running:
        assert (await asked(running, "/metrics", auth=basic("alice", "a:b:c")))[0] == 200


async def test_who_asks_with_too_many_passwords_is_told_to_wait(tmp_path: Path) -> None:
    """With a status that commands and scrapers try again after."""
    with patch.object(passwords, "_WAITING", 0):
        async with serving(tmp_path, USERS) as running:
            status, headers, _ = await asked(running, "/metrics", auth=ALICE)
            assert (status, headers["Retry-After"]) == (429, "1")


async def test_headers_of_the_file_win_over_ours(tmp_path: Path) -> None:
    """Those that it does not name stay, and a page with a policy of its own keeps that."""
    wanted = {
        "X-Frame-Options": "sameorigin",
        "Strict-Transport-Security": "max-age=60",
        "Content-Security-Policy": "default-src 'self'",
    }
    async with serving(tmp_path, {"http_server_config": {"headers": wanted}}) as running:
        _, headers, _ = await asked(running, "/metrics")
        assert {name: headers[name] for name in wanted} == wanted
        assert headers["X-Content-Type-Options"] == "nosniff"
        _, headers, _ = await asked(running, "/")
        assert "script-src 'self'" in headers["Content-Security-Policy"]
        _, headers, _ = await asked(running, "/nothing")
        assert headers["X-Frame-Options"] == "sameorigin"


async def test_changed_users_count_within_a_second(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who was taken out is out, over the same connection; a bad file changes nothing, and is told of once."""
    web = tmp_path / "web.yaml"
    async with serving(tmp_path, USERS) as running:
        assert (await asked(running, "/metrics", auth=ALICE))[0] == 200
        web.write_text("basic_auth_users: {alice: hunter2}")
        await running.advance(3)
        assert (await asked(running, "/metrics", auth=ALICE))[0] == 200
        web.write_text(json.dumps({"basic_auth_users": {"bob": hashed(PASSWORD)}}))
        await running.advance(2)
        assert (await asked(running, "/metrics", auth=ALICE))[0] == 401
        web.write_text("")
        await running.advance(2)
        assert (await asked(running, "/metrics"))[0] == 200
    said = capsys.readouterr().err
    assert said.count("event=web_config_kept") == 1
    assert said.count("event=web_config_loaded") == 3
    assert "basic_auth_users: must be a bcrypt hash" in said
    assert "hunter2" not in said


async def test_asked_to_reload_it_tells_what_is_wrong_with_the_file(tmp_path: Path) -> None:
    """The rest is read anew all the same."""
    async with serving(tmp_path, USERS) as running:
        (tmp_path / "web.yaml").write_text("basic_auth: {}")
        status, _, text = await asked(running, "/-/reload", "POST", ALICE)
        assert status == 500
        assert "web.yaml:1: basic_auth: unknown key; did you mean basic_auth_users?" in text
        (tmp_path / "web.yaml").write_text(json.dumps(USERS))
        assert (await asked(running, "/-/reload", "POST", ALICE))[0] == 200


async def test_plain_http_becomes_tls(tmp_path: Path) -> None:
    """For the next connection; one that there is goes on."""
    server = papers(tmp_path, "server")
    async with serving(tmp_path, {}) as running, aiohttp.ClientSession() as before, before.get(running.url) as answer:
        await answer.read()
        pair = {"cert_file": "server.pem", "key_file": "server.key"}
        (tmp_path / "web.yaml").write_text(json.dumps({"tls_server_config": pair}))
        await running.advance(2)
        async with before.get(running.url) as still_plain:
            assert still_plain.status == 200
        with pytest.raises(aiohttp.ClientError):
            await asked(running, "/metrics")
        trust = ssl.create_default_context(cafile=server.authority)
        secure = running.url.replace("http:", "https:")
        async with aiohttp.ClientSession() as http, http.get(secure, ssl=trust) as now_secure:
            assert now_secure.status == 200


@asynccontextmanager
async def at(*places: Address | UnixSocket) -> AsyncIterator[World]:
    async with world(config=CONFIG, listen=places) as running:
        yield running


async def over(path: Path) -> int:
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as http, http.get("http://x/") as it:
        return it.status


async def test_several_places_are_served_at_once(tmp_path: Path) -> None:
    """Addresses and a path; the path is gone with the exporter."""
    path = tmp_path / "web.sock"
    async with at(Address("127.0.0.1", 0), UnixSocket(path), Address("localhost", 0)) as running:
        assert running.exporter.urls[1] == f"unix:{path}"
        for url in (running.exporter.urls[0], running.exporter.urls[2]):
            async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as answer:
                assert answer.status == 200
        assert await over(path) == 200
    assert not path.exists()


async def test_what_is_left_of_a_killed_exporter_is_taken_over_with_its_mode(tmp_path: Path) -> None:
    """Whoever was let in by its mode still is."""
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    path.chmod(0o660)
    async with at(UnixSocket(path)):
        assert await over(path) == 200
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


async def test_path_that_somebody_serves_is_left_alone(tmp_path: Path) -> None:
    """It says so, and the other goes on."""
    path = tmp_path / "web.sock"
    async with at(UnixSocket(path)):
        with pytest.raises(StartError, match="another process serves there; end it, or choose another path"):
            async with at(UnixSocket(path)):
                pass
        assert await over(path) == 200


async def test_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    """It may be anything."""
    path = tmp_path / "notes"
    path.write_text("mine")
    with pytest.raises(StartError, match="there is a file that is no socket; remove it, or choose another path"):
        async with at(UnixSocket(path)):
            pass
    assert path.read_text() == "mine"
