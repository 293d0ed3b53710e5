"""Every way in which an order of a job can be bad, beside the whole answer that a pipeline gets."""

import json
from typing import Any, NamedTuple

import aiohttp
import pytest

from spexporter.domain.values import replace
from spexporter.simulator import default_plans
from tests.support.world import world

PLAN = replace(default_plans(1)[0], name="acme", jobs_at_start=0, starts_per_minute=0.0)
JSON = "application/json"
EXAMPLE = '{"tenant": "acme-prod", "operation": "import", "id": "ef38f943"}'
DURATION = "must be a duration such as 500ms, 10s, 5m, 24h, 7d or 1h30m"
ID = "must be 1 to 64 letters, digits, dots, underscores or hyphens"
OUT_OF_RANGE = f"the body is not JSON: a number, or the depth, is out of range; send {EXAMPLE}"


class Bad(NamedTuple):
    """What is sent, and what is answered: the error, or the mistakes of which it is made."""

    body: bytes
    status: int = 400
    error: str = ""
    content_type: str = JSON
    encoding: str = ""
    mistakes: tuple[tuple[str, str], ...] = ()

    @property
    def answer(self) -> dict[str, object]:
        if not self.mistakes:
            return {"error": self.error}
        return {
            "error": "; ".join(f"{key}: {message}" for key, message in self.mistakes),
            "mistakes": [{"key": key, "message": message} for key, message in self.mistakes],
        }


def order(**values: object) -> bytes:
    return json.dumps({"tenant": "acme", "operation": "import", "id": "i1", **values}).encode()


def wrong(body: bytes, *mistakes: tuple[str, str]) -> Bad:
    return Bad(body, mistakes=mistakes)


BODIES = {
    "empty": Bad(b"", error=f"the body is not JSON at line 1, column 1; send an object such as {EXAMPLE}"),
    "not JSON": Bad(
        b"tenant=acme&operation=import&id=i1",
        error=f"the body is not JSON at line 1, column 1; send an object such as {EXAMPLE}",
    ),
    "two objects": Bad(
        order() + b"\n" + order(),
        error=f"the body is not JSON at line 2, column 1; send an object such as {EXAMPLE}",
    ),
    "not UTF-8": Bad(b'{"id": "\xff"}', error="the body is not UTF-8 from byte 8 on; send JSON in UTF-8"),
    "UTF-16": Bad(order().decode().encode("utf-16"), error="the body is not UTF-8 from byte 0 on; send JSON in UTF-8"),
    "too deep": Bad(b'{"id": ' + b"[" * 30_000, error=OUT_OF_RANGE),
    "no number of JSON": Bad(b'{"id": Infinity}', error=OUT_OF_RANGE),
    "list": Bad(b"[" + order() + b"]", error=f"the body must be a JSON object, not a list; send one such as {EXAMPLE}"),
    "text": Bad(b'"i1"', error=f"the body must be a JSON object, not a text; send one such as {EXAMPLE}"),
    "number": Bad(b"17", error=f"the body must be a JSON object, not a number; send one such as {EXAMPLE}"),
    "null": Bad(b"null", error=f"the body must be a JSON object, not null; send one such as {EXAMPLE}"),
    "no keys": wrong(
        b"{}",
        ("id", "is missing; give the id that SailPoint gave the job"),
        ("operation", "is missing; say export or import"),
        ("tenant", "is missing; give the name of a tenant of this exporter"),
    ),
    "unknown key": wrong(order(maxage="30m"), ("maxage", "unknown key; did you mean max_age?")),
    "key twice": wrong(
        b'{"tenant": "acme", "operation": "import", "id": "i1", "id": "i2"}',
        ("id", "is given a second time; keep one of the two"),
    ),
    "id that is a number": wrong(order(id=17), ("id", "must be a text in quotes, not a number")),
    "tenant that is a list": wrong(order(tenant=["acme"]), ("tenant", "must be a text in quotes, not a list")),
    "bad id": wrong(order(id="a/b"), ("id", f"{ID}, got 'a/b'")),
    "id that is too long": wrong(order(id="x" * 65), ("id", f"{ID}, got '{'x' * 65}'")),
    "bad operation": wrong(order(operation="imports"), ("operation", "must be one of export, import, got 'imports'")),
    "operation of Configuration Hub": wrong(
        order(operation="backup"), ("operation", "must be one of export, import, got 'backup'")
    ),
    "bad max_age": wrong(order(max_age="30"), ("max_age", f"{DURATION}, got '30'")),
    "max_age that is a number": wrong(order(max_age=1800), ("max_age", "must be a text in quotes, not a number")),
    "bad preview": wrong(order(preview="true"), ("preview", "must be true or false without quotes, not a text")),
    "empty name": wrong(order(name=""), ("name", "must not be empty; give a value or leave the key out, got ''")),
    "half a character": wrong(order(name="\ud800"), ("name", "is not valid Unicode text")),
    "several mistakes": wrong(
        order(operation="x", id="", colour="red"),
        ("operation", "must be one of export, import, got 'x'"),
        ("id", f"{ID}, got ''"),
        ("colour", "unknown key; known here are id, operation, name, max_age, preview, tenant"),
    ),
    "unknown tenant": Bad(order(tenant="acne"), 404, "there is no tenant acne; did you mean acme?"),
    "another content type": Bad(
        order(), 415, "the body must be JSON in UTF-8; send Content-Type: application/json", "text/plain"
    ),
    "a form": Bad(
        order(),
        415,
        "the body must be JSON in UTF-8; send Content-Type: application/json",
        "application/x-www-form-urlencoded",
    ),
    "another charset": Bad(
        order(),
        415,
        "the body must be JSON in UTF-8; send Content-Type: application/json",
        "application/json; charset=iso-8859-1",
    ),
    "compressed": Bad(order(), 415, "the body must not be compressed; leave Content-Encoding out", encoding="gzip"),
    "too large": Bad(order().ljust(65_537), 413, "the body is larger than 64 KiB; one job needs far less"),
}


@pytest.mark.parametrize("bad", BODIES.values(), ids=BODIES.keys())
async def test_a_bad_order_gets_its_exact_answer(bad: Bad) -> None:
    """Status and JSON say what is wrong and what would be right; nothing is watched, and a good order is taken next."""
    headers = {"Content-Type": bad.content_type, **({"Content-Encoding": bad.encoding} if bad.encoding else {})}
    async with world([PLAN], lifecycle=True) as running, aiohttp.ClientSession(running.url) as http:

        async def said(body: bytes, **headers: str) -> tuple[int, Any]:
            async with http.post("/api/v1/jobs", data=body, headers=headers) as response:
                assert response.content_type == JSON
                return response.status, await response.json()

        assert await said(bad.body, **headers) == (bad.status, bad.answer)
        assert (await running.get("/api/v1/jobs"))[1] == '{"jobs":[]}'
        assert (await said(order(), **{"Content-Type": JSON}))[0] == 201
