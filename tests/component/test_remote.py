"""A running exporter over real HTTP and TLS: who we say that we are, what its refusals mean, and following a job."""

import base64
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from spexporter.config.httpclient import HttpAccess, load_http_client
from spexporter.direct.following import Followed
from spexporter.direct.looks import Sight
from spexporter.domain.job import JobKey, JobState, Operation, WatchedJob
from spexporter.remote.exporter import NotExporter, Refused, RunningExporter, Unavailable
from spexporter.remote.following import RemoteFollower
from spexporter.sailpoint.connections import client_session
from tests.support.fakeexporter import ENDED, JOB, FakeExporter, HurriedClock, Scripted, answering

WATCHED = WatchedJob(JobKey("acme", Operation.IMPORT, "i1"))
PASSWORD = "planted+pass:wörd$$"
RUNS, DONE = Scripted(200, JOB), Scripted(200, ENDED)
UNKNOWN = Scripted(404, {"error": "tenant acme has no import job i1; known here are none"})
AWAY = Scripted(404, "<h1>404</h1>default backend")


@asynccontextmanager
async def talking(fake: FakeExporter, access: HttpAccess | None = None) -> AsyncIterator[RunningExporter]:
    async with client_session() as http:
        yield RunningExporter(http, fake.url, access or HttpAccess())


def written(folder: Path, text: str) -> HttpAccess:
    """Return what a file as `--http.config.file` says."""
    file = folder / "http.yaml"
    file.write_text(text, encoding="utf-8")
    return load_http_client(file)


@pytest.mark.parametrize(
    ("text", "header"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param(
            f"basic_auth: {{username: ci, password: '{PASSWORD}'}}",
            "Basic " + base64.b64encode(f"ci:{PASSWORD}".encode()).decode(),
            id="password",
        ),
        pytest.param(
            "basic_auth: {username: ci, password_file: secret}",
            "Basic " + base64.b64encode(b"ci:from-a-file").decode(),
            id="password file",
        ),
        pytest.param("authorization: {credentials: planted-token}", "Bearer planted-token", id="bearer"),
        pytest.param(
            "authorization: {type: Token, credentials_file: secret}", "Token from-a-file", id="credentials file"
        ),
    ],
)
async def test_requests_say_who_we_are(text: str, header: str | None, tmp_path: Path) -> None:
    """In the header `Authorization`; blanks and line breaks around a file's text do not count, as for Prometheus."""
    (tmp_path / "secret").write_text(" from-a-file\r\n")
    access = written(tmp_path, text)
    async with answering(DONE) as fake, talking(fake, access) as exporter:
        await exporter.job(WATCHED)
    assert fake.asked[0].headers.get("Authorization") == header
    assert PASSWORD not in repr(access)


async def test_secret_file_is_read_again_for_each_request(tmp_path: Path) -> None:
    """A token that is renewed while a job is followed is used; a file that is gone is no end of it."""
    secret = tmp_path / "secret"
    secret.write_text("first")
    access = written(tmp_path, "authorization: {credentials_file: secret}")
    async with answering(RUNS) as fake, talking(fake, access) as exporter:
        await exporter.job(WATCHED)
        secret.write_text("second")
        await exporter.job(WATCHED)
        secret.unlink()
        with pytest.raises(Unavailable, match="cannot be used: No such file"):
            await exporter.job(WATCHED)
    assert [asked.headers["Authorization"] for asked in fake.asked] == ["Bearer first", "Bearer second"]


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """An authority whose certificate is in `ca.pem`, and a client's that it signed in `client.pem` and `client.key`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    client = authority.issue_cert("ci.example")
    client.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
    client.private_key_pem.write_to_path(str(tmp_path / "client.key"))
    return authority


def server(authority: trustme.CA, name: str, *, asks_for_certificate: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    if asks_for_certificate:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.mark.parametrize(
    ("tls_config", "name", "asks"),
    [
        pytest.param("{ca_file: ca.pem}", "127.0.0.1", "", id="authority"),
        pytest.param("{ca_file: ca.pem, server_name: exporter.example}", "exporter.example", "", id="name"),
        pytest.param(
            "{ca_file: ca.pem, cert_file: client.pem, key_file: client.key}",
            "127.0.0.1",
            "client",
            id="client certificate",
        ),
        pytest.param("{insecure_skip_verify: true}", "elsewhere.example", "", id="unverified"),
    ],
)
async def test_tls_is_spoken_as_the_file_says(
    tls_config: str, name: str, asks: str, authority: trustme.CA, tmp_path: Path
) -> None:
    """With a private authority, another name, a certificate of our own, or with anybody."""
    access = written(tmp_path, f"tls_config: {tls_config}")
    context = server(authority, name, asks_for_certificate=bool(asks))
    async with answering(DONE, tls=context) as fake, talking(fake, access) as exporter:
        assert (await exporter.job(WATCHED)).succeeded


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "self.signed certificate|unable to get local issuer", id="unknown authority"),
        pytest.param("tls_config: {ca_file: ca.pem}", "doesn't match|mismatch|not valid for", id="other name"),
    ],
)
async def test_server_that_cannot_be_trusted_is_told_nothing(
    text: str, said: str, authority: trustme.CA, tmp_path: Path
) -> None:
    """That is a refusal, not something to wait for; it names the key that says whom to trust."""
    access = written(tmp_path, f"{text}\nauthorization: {{credentials: planted-token}}")
    context = server(authority, "elsewhere.example")
    async with answering(DONE, tls=context) as fake, talking(fake, access) as exporter:
        with pytest.raises(Refused, match=f"cannot be trusted: .*({said}).*tls_config") as raised:
            await exporter.job(WATCHED)
    assert not isinstance(raised.value, NotExporter)
    assert fake.asked == []


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        pytest.param(UNKNOWN, Refused, "answered 404: tenant acme has no import job", id="unknown job"),
        pytest.param(Scripted(403, {"error": "switched off"}), Refused, "403: switched off", id="lifecycle"),
        pytest.param(Scripted(401, "Unauthorized"), Refused, "401: Unauthorized; give who you are", id="credentials"),
        pytest.param(Scripted(429, {"error": "too many"}), Unavailable, "429: too many", id="too many"),
        pytest.param(Scripted(503, {"error": "the store"}), Unavailable, "503: the store", id="store"),
        pytest.param(Scripted(502, "bad gateway"), Unavailable, "502: bad gateway", id="gateway"),
        pytest.param(AWAY, NotExporter, "404: <h1>404.* check that this is the exporter's address", id="no exporter"),
        pytest.param(Scripted(200, "hello"), NotExporter, "is this its address", id="page"),
        pytest.param(Scripted(200, {**ENDED, "id": "other"}), NotExporter, "is this its address", id="other job"),
        pytest.param(Scripted(200, "[" * 100_000), NotExporter, "is this its address", id="deep"),
        pytest.param(Scripted(200, "x" * 5_000_000), NotExporter, "is this its address", id="huge"),
        pytest.param(
            Scripted(302, "", {"Location": "http://127.0.0.1:1/"}), NotExporter, "leads elsewhere", id="redirect"
        ),
    ],
)
async def test_each_answer_means_one_thing(answer: Scripted, error: type[Exception], said: str) -> None:
    """What another try may mend, what it cannot, and what comes from somebody else."""
    async with answering(answer) as fake, talking(fake) as exporter:
        with pytest.raises(error, match=said) as raised:
            await exporter.job(WATCHED)
    assert type(raised.value) is error
    assert len(fake.asked) == 1


@pytest.mark.parametrize(
    ("watched", "body"),
    [
        pytest.param(WATCHED, {"tenant": "acme", "operation": "import", "id": "i1"}, id="plain"),
        pytest.param(
            WatchedJob(WATCHED.key, name="nightly", max_age_s=5400.0, preview=True),
            {"tenant": "acme", "operation": "import", "id": "i1", "name": "nightly", "max_age": "1h30m"}
            | {"preview": True},
            id="whole",
        ),
    ],
)
async def test_job_is_handed_over_as_the_api_takes_it(watched: WatchedJob, body: Mapping[str, object]) -> None:
    """With what is said of it and nothing else; 201 means new."""
    async with answering(Scripted(201, JOB), RUNS) as fake, talking(fake) as exporter:
        assert (await exporter.track(watched))[0] is True
        assert (await exporter.track(watched))[0] is False
    asked = fake.asked[0]
    assert (asked.method, asked.path, json.loads(asked.body)) == ("POST", "/api/v1/jobs", body)
    assert asked.headers["Content-Type"] == "application/json"


class Following:
    """Follows the job through a fake exporter, and remembers what was seen."""

    def __init__(self) -> None:
        self.clock = HurriedClock()
        self._seen: list[Sight] = []

    @property
    def seen(self) -> list[Sight]:
        return self._seen

    async def follow(self, fake: FakeExporter, timeout_s: float = 30.0) -> Followed:
        async with talking(fake) as exporter:
            return await RemoteFollower(exporter, WATCHED, self.clock, self._seen.append).follow(timeout_s)


async def test_job_is_followed_to_its_end() -> None:
    """Once a second, as the exporter answers from memory; an import ends when its result was read."""
    unread = Scripted(200, {**ENDED, "outcome": None, "messages": None, "objects": None})
    following = Following()
    async with answering(Scripted(200, {**JOB, "state": "UNOBSERVED"}), RUNS, RUNS, unread, DONE) as fake:
        followed = await following.follow(fake)
    assert [str(sight.job.state) for sight in following.seen] == [
        "None",
        "IN_PROGRESS",
        "IN_PROGRESS",
        "COMPLETE",
        "COMPLETE",
    ]
    assert [sight.succeeded for sight in following.seen] == [False] * 4 + [True]
    assert following.clock.slept_s == [1.0] * 4
    assert (followed.timed_out, followed.report) == (False, None)
    assert followed.sight.job.result
    assert followed.sight.job.result.warnings == 1


@pytest.mark.parametrize("answer", [AWAY, Scripted(503, "starting"), Scripted(200, "maintenance")])
async def test_exporter_that_is_away_for_a_moment_is_waited_for(answer: Scripted) -> None:
    """Whatever a proxy says meanwhile; what was known of the job stays, with the trouble beside it."""
    following = Following()
    async with answering(RUNS, answer, answer, DONE) as fake:
        followed = await following.follow(fake)
    assert followed.sight.succeeded
    assert [sight.trouble.reason if sight.trouble else "" for sight in following.seen] == [
        "",
        "unreachable",
        "unreachable",
        "",
    ]
    assert following.seen[1].job.state is JobState.IN_PROGRESS
    assert following.seen[1].elapsed_s == 12.5


async def test_exporter_that_does_not_listen_is_waited_for_until_time_is_over() -> None:
    """A refused connection ends nothing: it may be starting anew."""
    async with answering(DONE) as fake:
        pass
    following = Following()
    followed = await following.follow(fake, timeout_s=0.3)
    assert (followed.timed_out, followed.sight.succeeded) == (True, False)
    assert followed.sight.trouble
    assert (
        followed.sight.trouble.message == f"{fake.url}/api/v1/jobs/acme/import/i1 cannot be asked: Connection refused"
    )
    assert len(following.seen) > 1


async def test_exporter_that_does_not_speak_https_is_asked_whether_it_does() -> None:
    """The number of a TLS error is not one of the operating system's: nothing was forbidden."""
    async with answering(DONE) as fake:
        fake.url = fake.url.replace("http:", "https:")
        async with talking(fake) as exporter:
            said = await exporter.not_ready(5)
    assert said.startswith(f"{fake.url}/-/ready cannot be asked: [SSL: ")
    assert said.endswith("; does it speak https?")


async def test_host_without_an_address_is_named_in_words() -> None:
    """Without what the library says of its own settings."""
    async with talking(FakeExporter((), url="http://no-such-host.invalid:9977")) as exporter:
        said = await exporter.not_ready(5)
    assert said.startswith("http://no-such-host.invalid:9977/-/ready cannot be asked: ")
    assert "ssl:" not in said


@pytest.mark.parametrize(
    ("answer", "cure"),
    [
        pytest.param(
            UNKNOWN,
            "where tenant and id are right, hand the job over first: spexporter track --url {url} acme import i1",
            id="unknown job",
        ),
        pytest.param(AWAY, "ask whoever runs the exporter", id="no exporter"),
    ],
)
async def test_refusal_ends_it_with_what_helps(answer: Scripted, cure: str) -> None:
    """A job that the exporter does not know is to be handed over; whoever has never answered well is not waited for."""
    following = Following()
    async with answering(answer) as fake:
        followed = await following.follow(fake)
    assert (followed.timed_out, followed.sight.succeeded, len(fake.asked)) == (False, False, 1)
    assert followed.sight.trouble
    assert cure.format(url=fake.url) in followed.sight.trouble.cure


async def test_job_that_the_exporter_forgets_ends_it() -> None:
    """As one that was handed in and not stored, after a restart; the exporter's own words say so."""
    following = Following()
    async with answering(RUNS, UNKNOWN) as fake:
        followed = await following.follow(fake)
    assert followed.sight.trouble
    assert (followed.sight.succeeded, followed.sight.trouble.reason) == (False, "refused")
