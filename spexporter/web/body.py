"""Bodies of requests: read within bounds, and held against the rules that configuration files have."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from spexporter.config.mistakes import validate
from spexporter.config.model import Identifier, JobSection
from spexporter.config.nodes import Block, Complaints, Node, Text, under
from spexporter.domain.errors import Problem
from spexporter.domain.job import JobKey, Source, WatchedJob
from spexporter.web.refusal import Mistake, Refusal

MAX_BYTES = 64 * 1024
READ_WITHIN_S = 10.0
_MOST_KEYS = 50  # so that no answer is many times as long as the body
_FILE = Path("body")
_EXAMPLE = '{"tenant": "acme-prod", "operation": "import", "id": "ef38f943"}'

# An object's keys and values as they stand, so that a key that is given twice shows.
_Pairs = tuple[tuple[str, object], ...]


class HandedJobSection(JobSection):
    """A job that is handed in: an entry of `jobs` that names its tenant."""

    tenant: Identifier


async def read_body(request: web.Request) -> bytes:
    """Return the body of a request that says it is JSON.

    Raises:
        Refusal: it says otherwise, is too large, takes too long or breaks off.
    """
    if request.content_type != "application/json" or (request.charset or "utf-8").lower() not in {"utf-8", "utf8"}:
        raise Refusal(415, "the body must be JSON in UTF-8; send Content-Type: application/json")
    if "Content-Encoding" in request.headers:
        raise Refusal(415, "the body must not be compressed; leave Content-Encoding out")
    if (request.content_length or 0) > MAX_BYTES:
        raise _too_large()
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            return await _read(request.content)
    except TimeoutError:
        raise Refusal(408, f"the body did not arrive within {READ_WITHIN_S:g} s; send it at once") from None
    except (aiohttp.ClientError, HttpProcessingError, ConnectionError):
        raise Refusal(400, "the body breaks off or is not framed as HTTP says; send it again") from None


async def _read(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > MAX_BYTES:
            raise _too_large()
    return bytes(body)


def _too_large() -> Refusal:
    return Refusal(413, f"the body is larger than {MAX_BYTES // 1024} KiB; one job needs far less")


def parse_job(body: bytes) -> WatchedJob:
    """Return the job that a body hands in.

    Raises:
        Refusal: it is no JSON object, or values are wrong; it carries every mistake, in the order of the body.
    """
    complaints = Complaints()
    root = _block(_decode(body), complaints)
    section = validate(root, HandedJobSection, complaints)
    mistakes = tuple(Mistake(problem.path, problem.message) for problem in complaints.of(_FILE))
    if mistakes or section is None:
        raise Refusal(400, "; ".join(f"{it.key}: {it.message}" for it in mistakes), mistakes)
    key = JobKey(section.tenant, section.operation, section.id)
    return WatchedJob(key, Source.API, section.name or "", section.max_age, section.preview)


def _decode(body: bytes) -> _Pairs:
    try:
        value = json.loads(
            body.decode("utf-8-sig"), object_pairs_hook=tuple, parse_int=float, parse_constant=_no_constant
        )
    except UnicodeDecodeError as error:
        raise Refusal(400, f"the body is not UTF-8 from byte {error.start} on; send JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise Refusal(400, f"the body is not JSON at {place}; send an object such as {_EXAMPLE}") from None
    except (ValueError, RecursionError):
        raise Refusal(400, f"the body is not JSON: a number, or the depth, is out of range; send {_EXAMPLE}") from None
    if not isinstance(value, tuple):
        raise Refusal(400, f"the body must be a JSON object, not {_kind(value)}; send one such as {_EXAMPLE}")
    if len(value) > _MOST_KEYS:
        raise Refusal(400, f"the body has {len(value)} keys, and an order has six at most; send one such as {_EXAMPLE}")
    return value


def _no_constant(_word: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


def _block(pairs: _Pairs, complaints: Complaints) -> Block:
    """Return a JSON object as if it stood in a file, each key on a line; a known key with null is left out."""
    known = HandedJobSection.fields_by_key()
    entries: dict[str, Node] = {}
    seen: set[str] = set()
    for line, (key, value) in enumerate(pairs, 1):
        path = under("", key)
        if _broken(key):
            complaints.add(Problem(str(_FILE), line, path, "is not valid Unicode text; take the key out"))
            continue
        wrong = list(_wrong_kind(key, value)) if key in known else []
        if key in seen:
            wrong = ["is given a second time; keep one of the two"]
        for message in wrong:
            complaints.add(Problem(str(_FILE), line, path, message))
        if key not in seen and (value is not None or key not in known):
            entries[key] = Text(_text(value), str(_FILE), line, path, broken=bool(wrong) or key not in known)
        seen.add(key)
    return Block(entries, str(_FILE), len(pairs) + 1, "")


def _wrong_kind(key: str, value: object) -> Iterator[str]:
    if value is None:
        return
    if key == "preview":
        if not isinstance(value, bool):
            yield f"must be true or false without quotes, not {_kind(value)}"
    elif not isinstance(value, str):
        yield f"must be a text in quotes, not {_kind(value)}"
    elif _broken(value):
        yield "is not valid Unicode text"


def _broken(text: str) -> bool:
    """Whether a text has half a character, as escapes in JSON can give: no answer could repeat it."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def _text(value: object) -> str:
    """Return a scalar as configuration files write it."""
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case _:
            return ""


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"
