"""Coverage-guided fuzzing of all that reads a tenant's bytes: nothing but `Unreadable` comes out, and counts are right.

Each input goes to every decoder, and what they say is held against the standard library's reading of the same bytes.
atheris wants an environment of its own:

    python3 -m venv /tmp/fuzz
    /tmp/fuzz/bin/pip install atheris pytest -e .
    /tmp/fuzz/bin/python tests/fuzz/fuzz_wire.py -max_total_time=60 /tmp/corpus

The last argument is the folder of the corpus: the published answers are put there at the start, and what the fuzzer
finds stays there for the next run. The flags are libFuzzer's. The first finding ends the run and is written to a file
`crash-…`; with that file instead of a folder it is tried again, and `-minimize_crash=1 -runs=100000` makes it smaller.
"""

import base64
import calendar
import codecs
import hashlib
import math
import random
import re
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris  # type: ignore[import-untyped]  # not in the environment of the other tools, see above

ROOT = Path(__file__).parents[2]
READERS = ("fields", "lists", "outline", "pieces", "replies", "resultstream", "wire")
INSTRUMENTED = [*(f"spexporter.sailpoint.{name}" for name in READERS), "email", "json"]
sys.path.insert(0, str(ROOT))
with atheris.instrument_imports(include=INSTRUMENTED):
    import json
    from json.decoder import py_scanstring  # type: ignore[attr-defined]  # typeshed leaves out what is for Python alone
    from json.scanner import py_make_scanner  # type: ignore[attr-defined]  # the same

    from spexporter.domain.job import JobKey, JobState, Observation, Operation
    from spexporter.domain.result import ImportResult, TypeCounts
    from spexporter.sailpoint.fields import Unreadable, parse_time
    from spexporter.sailpoint.lists import Reading, decode_credential_end, decode_list
    from spexporter.sailpoint.replies import retry_after_s
    from spexporter.sailpoint.resultstream import ResultStream
    from spexporter.sailpoint.wire import (
        decode_error,
        decode_object_types,
        decode_result,
        decode_status,
        decode_token,
    )
    from tests.unit.sailpoint.test_lists_samples import SAMPLES
    from tests.unit.sailpoint.test_wire_samples import ERRORS, RESULTS, STATUSES

KEY = JobKey("acme", Operation.IMPORT, "asked")
WALL_S = 1_700_000_000.0
LISTED = (Operation.BACKUP, Operation.DRAFT, Operation.DEPLOY)  # an upload is read as a backup
LISTS = ("errors", "warnings", "infos", "importedObjects")
TIMES = {"created": "created_s", "modified": "modified_s", "completed": "completed_s", "expiration": "expires_s"}
TEXTS = {"message": "message", "description": "description", "jobId": "reported_id"}
PLAIN_TIME = re.compile(r"(?!0000)(\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d)(\.\d{1,9})?Z", re.ASCII)
SURROGATE = re.compile("[\ud800-\udfff]")
# JSON's depth that every reader of ours and of the standard library still takes.
DEPTH = 200

CLAIMS = b'{"user_name":"x","scope":["sp:config:read"],"authorities":["ORG_ADMIN"]}'
TOKEN = {
    "access_token": f"e30.{base64.urlsafe_b64encode(CLAIMS).decode()}.x",
    "token_type": "bearer",
    "expires_in": 749,
}
OBJECT_TYPES = [{"objectType": "SOURCE", "referenceExtractors": None, "exportable": True}, {"objectType": "RULE"}]
ERROR_FIELDS = ("errorMessage", "detailMessage", "formatted_msg", "error", "error_description", "message")
TEXT_SEEDS = (
    "120",
    "Wed, 21 Oct 2015 07:28:00 GMT",
    "Sunday, 06-Nov-94 08:49:37 GMT",
    "Sun Nov  6 08:49:37 1994",
    "2021-05-13T15:04:24.112Z",
    "2021-05-13T10:04:24-05:00",
    "2021-W19-4T15:04:24,123456789+00:00",
    "0001-01-01T00:00:00Z",
    "<!doctype html><h1>502 Bad Gateway</h1>",
    "Full authentication is required to access this resource",
)


class Reader(json.JSONDecoder):
    """JSON as the standard library reads it, in Python alone: the fuzzer learns from its branches what JSON is."""

    def __init__(self) -> None:
        super().__init__(parse_constant=no_json)
        self.parse_string = py_scanstring
        self.scan_once = py_make_scanner(self)


class WrongError(AssertionError):
    """A decoder and the standard library read the same bytes in different ways."""


def seeds() -> list[bytes]:
    """Return what SailPoint has published, a token, object types, and times as headers and fields have them."""
    documents: list[object] = [payload for _, payload, _ in STATUSES.values()]
    documents += [payload for payload, _ in RESULTS.values()]
    documents += [payload for payload, _ in ERRORS.values()]
    documents += [payload for _, payload, _, _ in SAMPLES.values()]
    documents += [TOKEN, OBJECT_TYPES, dict.fromkeys(ERROR_FIELDS, "text")]
    return [json.dumps(document).encode() for document in documents] + [text.encode() for text in TEXT_SEEDS]


def check(body: bytes) -> None:
    """Give `body` to every decoder, twice, and hold what comes out against the standard library."""
    unknown: list[str] = []
    status = said(lambda: decode_status(body, KEY, observed_s=0.0, unknown=unknown.append))
    result = said(lambda: decode_result(body))
    types = said(lambda: decode_object_types(body))
    token = said(lambda: decode_token(body))
    reading = Reading("acme", frozenset({"acme"}), WALL_S, lambda _: None)
    for decode in (listing(body, operation, reading) for operation in LISTED):
        check_list(said(decode))
    said(lambda: decode_credential_end(body, "acme", lambda _: None))
    check_error(body)
    check_token_words(body, token)
    check_moment(parse_time(body.decode(errors="replace")), body.decode(errors="replace"))
    check_pause(body.decode(errors="surrogateescape"))
    document = read(body)
    if document is None:
        return
    check_status(document, status, unknown)
    check_result(document, result)
    check_stream(body, document, result)
    check_types(document, types)
    check_token(document, token)


def said(decode: Callable[[], Any]) -> Any:  # noqa: ANN401 (each decoder has a value of its own)
    """Return a decoder's value, or its `Unreadable`; it must say the same twice."""
    first, second = once(decode), once(decode)
    if isinstance(first, Unreadable) and isinstance(second, Unreadable):
        expect("text of the second time", str(second), str(first))
    else:
        expect("the second time", second, first)
    return first


def once(decode: Callable[[], Any]) -> Any:  # noqa: ANN401 (the same)
    """Return a decoder's value, or its `Unreadable`."""
    try:
        return decode()
    except Unreadable as error:
        return error


def expect(what: str, got: object, wanted: object) -> None:
    """Compare.

    Raises:
        WrongError: they differ.
    """
    if got != wanted:
        raise WrongError(f"{what}: {got!r} instead of {wanted!r}")


def read(body: bytes) -> Any:  # noqa: ANN401 (any JSON value)
    """Return what the standard library reads, None where it reads nothing or more than JSON allows.

    Escaped lone surrogates are JSON, but no text: U+FFFD stands for each.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    if body.count(b"[") + body.count(b"{") > DEPTH:
        return None
    try:
        document = READER.decode(body.decode())
        # In some versions what is for Python alone takes "\\u007 " for an escape: both have to read the same.
        if json.loads(body, parse_constant=no_json) != document:
            return None
    except ValueError:
        return None
    return json.loads(SURROGATE.sub("\ufffd", json.dumps(document, ensure_ascii=False)))


def no_json(word: str) -> None:
    """Refuse NaN and Infinity, which Python reads although JSON has no such numbers.

    Raises:
        ValueError: always.
    """
    raise ValueError(word)


READER = Reader()


def check_status(document: Any, got: Any, unknown: list[str]) -> None:  # noqa: ANN401 (any JSON value)
    """State, texts and times of a plain status are those that are written there; odd ones are reported."""
    word = document.get("status") if isinstance(document, dict) else None
    if word is None or isinstance(word, list | dict):
        expect("a status without a word is unreadable", isinstance(got, Unreadable), wanted=True)
    elif isinstance(word, str):
        expect("a status with a word can be read", isinstance(got, Observation), wanted=True)
        ours = {JobState.NOT_FOUND, JobState.UNKNOWN}
        states = {state.value: state for state in JobState if state not in ours}
        expect("state", (got.state, got.raw_state), (states.get(word, JobState.UNKNOWN), word))
        expect("unknown state", "status" in unknown, word not in states)
        for name, attribute in TEXTS.items():
            check_text(document.get(name), getattr(got, attribute), reported=name in unknown)
        for name, attribute in TIMES.items():
            check_time(document.get(name), getattr(got, attribute), reported=name in unknown)


def check_text(value: object, got: str, *, reported: bool) -> None:
    """A string is itself, null is nothing, an object or a list is nothing and reported."""
    if value is None or isinstance(value, str):
        expect("text", (got, reported), (value or "", False))
    elif isinstance(value, list | dict):
        expect("odd text", (got, reported), ("", True))


def check_time(value: object, got: float | None, *, reported: bool) -> None:
    """A time is its moment; whatever is there and no time is nothing, and reported."""
    if isinstance(value, str):
        check_moment(got, value)
    elif value is None or isinstance(value, list | dict):
        expect("no time", got, None)
    expect("reported time", reported, value is not None and got is None)


def check_moment(got: float | None, text: str) -> None:
    """A time as SailPoint writes it is read as the standard library's calendar does; others are finite, if anything."""
    if got is not None and not (math.isfinite(got) and got >= 0):
        raise WrongError(f"moment {got} of {text!r}")
    if not (match := PLAIN_TIME.fullmatch(text)):
        return
    try:
        whole_s = calendar.timegm(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        expect("moment that no calendar has", got, None)
        return
    if whole_s < 0:
        expect("moment before 1970", got, None)
    elif got is None or abs(got - whole_s - float((match[2] or ".0")[:7])) > 1e-4:
        raise WrongError(f"moment {got} of {text!r} instead of {whole_s} and the fraction")


def listing(body: bytes, operation: Operation, reading: Reading) -> Callable[[], Any]:
    """Return what decodes `body` as a list."""
    return lambda: decode_list(body, operation, reading)


def check_list(got: Any) -> None:  # noqa: ANN401 (jobs, or `Unreadable`)
    """Each id is there once, and an end is one that is written there."""
    jobs = () if isinstance(got, Unreadable) else got
    expect("ids", len({job.observation.key for job in jobs}), len(jobs))
    for job in jobs:
        if job.observation.ended_s not in {None, job.observation.completed_s}:
            raise WrongError(f"end {job.observation.ended_s}")


def check_result(document: Any, got: Any) -> None:  # noqa: ANN401 (any JSON value)
    """Counts are the lengths of the lists; where something else stands for a list or a type, nothing is counted."""
    wanted = recount(document)
    if wanted is None:
        expect("a result with odd parts is unreadable", isinstance(got, Unreadable), wanted=True)
        return
    expect("a result can be read", isinstance(got, ImportResult), wanted=True)
    types, preview = wanted
    expect("counts", got.types, types)
    expect("preview", got.preview, preview)
    backup_id = document.get("exportJobId")
    if backup_id is None or isinstance(backup_id, str):
        expect("backup", got.backup_id, backup_id or "")


def check_stream(body: bytes, document: Any, whole: Any) -> None:  # noqa: ANN401 (any JSON value)
    """A result that comes in pieces is counted as the whole one is, whatever its pieces are."""
    backup_id = document.get("exportJobId") if isinstance(document, dict) else None
    if isinstance(backup_id, int | float) or re.search(rb"\d{4000}|[eE][-+]?\d{10}", body):
        return  # the docstring of `ResultStream` says how it differs
    for length in (1 + len(body) // 3, 7):
        got = said(streamed(body, length))
        expect("in pieces", "unreadable" if isinstance(got, Unreadable) else got, readable(whole))


def streamed(body: bytes, length: int) -> Callable[[], ImportResult]:
    """Return what counts a result that comes in pieces of `length` bytes."""

    def count() -> ImportResult:
        stream = ResultStream(window=1 + length // 2)
        for start in range(0, len(body), length):
            stream.feed(body[start : start + length])
        return stream.result()

    return count


def readable(whole: Any) -> Any:  # noqa: ANN401 (a result, or `Unreadable`)
    """Return a result, or a word where there is none: what is wrong is not said in the same words."""
    return "unreadable" if isinstance(whole, Unreadable) else whole


def recount(document: Any) -> tuple[dict[str, TypeCounts], bool] | None:  # noqa: ANN401 (any JSON value)
    """Count a result anew, None where it has no counts; and tell whether it is a preview's."""
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, dict):
        return None
    if [*results] == ["results"] and isinstance(inner := results["results"], dict) and not inner.keys() & {*LISTS}:
        results = inner
    types, preview = {}, False
    for name, entry in results.items():
        if not isinstance(entry, dict | None):
            return None
        lists = [(entry or {}).get(field) for field in LISTS]
        if not all(isinstance(messages, list | None) for messages in lists):
            return None
        types[name] = TypeCounts(*(len(messages or []) for messages in lists))
        infos = (entry or {}).get("infos") or []
        preview |= any(isinstance(info, dict) and info.get("key") == "IMPORT_PREVIEW" for info in infos)
    return types, preview


def check_types(document: Any, got: Any) -> None:  # noqa: ANN401 (any JSON value)
    """All words of a list of object configurations are there, and nothing else has any."""
    if not isinstance(document, list) or not all(isinstance(entry, dict) for entry in document):
        expect("object types that are no list of objects", isinstance(got, Unreadable), wanted=True)
        return
    words = [entry.get("objectType") for entry in document]
    if all(isinstance(word, str | list | dict | None) for word in words):
        expect("object types", got, {word for word in words if isinstance(word, str) and word})


def check_token(document: Any, got: Any) -> None:  # noqa: ANN401 (any JSON value)
    """The token is the one that is written there, and lives as long as is written there."""
    word = document.get("access_token") if isinstance(document, dict) else None
    if (not word and word is not False and word != 0) or isinstance(word, list | dict):
        expect("an answer without a token is unreadable", isinstance(got, Unreadable), wanted=True)
    elif isinstance(word, str) and any(not "!" <= letter <= "~" for letter in word):
        expect("a token that cannot be sent is unreadable", isinstance(got, Unreadable), wanted=True)
    elif isinstance(word, str):
        expect("token", got.access_token, word)
        lifetime = document.get("expires_in")
        if isinstance(lifetime, int) and not isinstance(lifetime, bool) and abs(lifetime) < 2**53:
            expect("lifetime", got.lifetime_s, lifetime if lifetime > 0 else None)
        if got.lifetime_s is not None and not (math.isfinite(got.lifetime_s) and got.lifetime_s > 0):
            raise WrongError(f"lifetime {got.lifetime_s}")


def check_token_words(body: bytes, got: Any) -> None:  # noqa: ANN401 (a token or an error)
    """No answer of the token endpoint is quoted: neither by the error nor by the value's repr."""
    shown = str(got) if isinstance(got, Unreadable) else repr(got).partition("grants=")[0]
    for word in re.findall(rb"\w{20,}", body):
        if word.decode() in shown:
            raise WrongError(f"quoted: {shown}")


def check_error(body: bytes) -> None:
    """Whatever the body, there are two short texts of one line each."""
    error = decode_error(body)
    expect("the second time", decode_error(body), error)
    for text in (error.text, error.tracking_id):
        if len(text) > 330 or len(text.splitlines()) > 1:
            raise WrongError(f"long text {text!r}")


def check_pause(text: str) -> None:
    """A pause is none, or finite and not negative; whole seconds are as they are written."""
    pause_s = retry_after_s(text, wall_s=WALL_S)
    expect("the second time", retry_after_s(text, wall_s=WALL_S), pause_s)
    if pause_s is not None and not (math.isfinite(pause_s) and pause_s >= 0):
        raise WrongError(f"pause {pause_s} of {text!r}")
    if re.fullmatch(r"[0-9]{1,12}", text):
        expect("pause", pause_s, int(text))


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change a JSON document here and there, or its bytes: half of the time, and where it is none."""
    dice = random.Random(seed)  # noqa: S311 (libFuzzer's dice, so that a run repeats itself)
    try:
        document = json.loads(data.decode())
    except (ValueError, RecursionError):
        document = None
    if document is None or dice.random() < 0.5:
        return bytes(atheris.Mutate(data, max_size))
    for _ in range(dice.randint(1, 3)):
        document = changed(document, dice)
    text = json.dumps(document, ensure_ascii=dice.random() < 0.5)
    if dice.random() < 0.1:
        text = doubled(text, dice)
    body = text.encode(errors="surrogatepass")
    return body if len(body) <= max_size else bytes(atheris.Mutate(data, max_size))


def changed(document: Any, dice: random.Random) -> Any:  # noqa: ANN401 (any JSON value)
    """Return `document` with one change somewhere in it."""
    if isinstance(document, dict) and document and dice.random() < 0.8:
        name = dice.choice([*document])
        return document | {name: changed(document[name], dice)}
    if isinstance(document, list) and document and dice.random() < 0.7:
        place = dice.randrange(len(document))
        return [*document[:place], changed(document[place], dice), *document[place + 1 :]]
    changes = [dice.choice(VALUES), {dice.choice(NAMES): document}]
    if isinstance(document, dict):
        changes += [document | {dice.choice(NAMES): dice.choice(VALUES)}, dict([*document.items()][1:])]
    if isinstance(document, list):
        changes += [[*document, dice.choice(VALUES), *document[: dice.randrange(3)]], document[1:]]
    return dice.choice(changes)


def doubled(text: str, dice: random.Random) -> str:
    """Return JSON text in which one object has a key more, perhaps for the second time, or an escape in a word."""
    if dice.random() < 0.3:
        place = dice.randrange(len(text))
        return f"{text[:place]}\\u{ord(text[place]):04x}{text[place + 1 :]}"
    places = [match.end() for match in re.finditer(r"\{(?=\")", text)]
    if not places:
        return text
    place = dice.choice(places)
    return f"{text[:place]}{json.dumps(dice.choice(NAMES))}: {json.dumps(dice.choice(VALUES))}, {text[place:]}"


NAMES = (
    *("status", "type", "results", "exportJobId", "SOURCE", "RULE", "key", "text", "detail", "details"),
    *("access_token", "expires_in", "objectType", "trackingId", "detailCode", "causes", "messages"),
    *LISTS,
    *TIMES,
    *TEXTS,
    *ERROR_FIELDS,
    *("items", "id", "expirationDate", "name", "tenant", "isPartial", "options", "includeTypes", "totalObjectCount"),
    *("cloudStorageStatus", "approvalStatus", "approvalComment", "timestamp", "changedToStatus", "draftName"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 749, 10**12, 10**30, 1.5, -0.0, 1e308, "", " ", "IMPORT_PREVIEW", "inf", "nan", "749"),
    *(state.value for state in JobState),
    *(
        "2021-05-13T15:04:24.112Z",
        "2021-05-13T15:04:24.123456789Z",
        "9999-12-31T23:59:59.999999-23:59",
        "😀",
        "a.e30.c",
    ),
    *([], {}, [None], [[]], {"key": "IMPORT_PREVIEW"}, [{"key": "IMPORT_PREVIEW"}], [{"text": "x"}]),
    *({"errors": [1]}, {"SOURCE": {"infos": [], "importedObjects": [{}]}}, {"results": {}}, OBJECT_TYPES[0]),
)


def plant(folder: Path) -> None:
    """Put the seeds into the corpus under the names that libFuzzer gives."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds():
        (folder / hashlib.sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)


def main() -> None:
    """Run libFuzzer with the flags of the command line."""
    for argument in sys.argv[1:]:
        if not argument.startswith("-") and not Path(argument).is_file():
            plant(Path(argument))
    for oracle in (check_status, check_time, check_moment, recount, check_types, check_token, check_pause):
        atheris.instrument_func(oracle)
    # To make a finding smaller libFuzzer starts its first argument anew.
    again = shlex.join([sys.executable, sys.argv[0]])
    atheris.Setup([again, *sys.argv[1:]], check, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
