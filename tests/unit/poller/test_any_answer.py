"""Whatever bytes come in place of any one answer: one `malformed` error at the most, right counters, and life goes on.

The long run: `pytest tests/unit/poller/test_any_answer.py --hypothesis-profile=long`.
"""

import asyncio
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import Mock

from hypothesis import given, settings
from hypothesis import strategies as st

from spexporter.board import LatestViews
from spexporter.config import MaxAnswer
from spexporter.domain import counting
from spexporter.domain.budget import RateLimit
from spexporter.domain.counting import SeriesKey
from spexporter.domain.job import ENDED_STATES, JobKey, Operation, WatchedJob
from spexporter.domain.ports import Terms
from spexporter.domain.view import TenantView
from spexporter.ledger.memory import MemoryLedger
from spexporter.poller import Care, Poller, TenantPolling
from spexporter.sailpoint import lists, wire
from spexporter.sailpoint.auth import Credential, TokenSource
from spexporter.sailpoint.client import TenantClient
from spexporter.sailpoint.endpoints import Endpoint
from spexporter.sailpoint.fields import Unreadable
from spexporter.sailpoint.gate import Gate
from spexporter.sailpoint.transport import Answer, Route, Sink, Transport
from spexporter.sailpoint.vitals import Vitals
from tests.support.clock import START_WALL_S, FakeClock, settle
from tests.unit.poller.test_poller import GROUP, Beats, HeldBy, Lost

KEY = JobKey("acme", Operation.IMPORT, "1")
OTHER = JobKey("acme", Operation.EXPORT, "2")
RUNNING = {"jobId": "1", "status": "IN_PROGRESS", "created": "2027-01-15T08:00:00Z"}
ENDED = {**RUNNING, "status": "COMPLETE", "completed": "2027-01-15T08:00:30Z"}
RESULT: dict[str, Any] = {
    "results": {"SOURCE": {"errors": [{}, {}], "warnings": [{}], "importedObjects": [{}, {}, {}]}}
}
LASTS_S = 240.0
ENDS_S = 1_802_678_400.0  # 2027-02-15 08:00 UTC
GOOD: Mapping[Endpoint, Sequence[Any]] = {
    Endpoint.TOKEN: [{"access_token": "planted-access-token", "expires_in": 40}],
    Endpoint.CONFIG_OBJECTS: [[{"objectType": "SOURCE"}]],
    Endpoint.EXPORT_STATUS: [RUNNING, RUNNING, {**ENDED, "jobId": "2"}],
    Endpoint.IMPORT_STATUS: [RUNNING, RUNNING, ENDED],
    Endpoint.IMPORT_RESULT: [RESULT],
    Endpoint.BACKUPS: [[{**RUNNING, "jobId": "3"}], {"items": [{**RUNNING, "jobId": "3"}]}, [{**ENDED, "jobId": "3"}]],
    Endpoint.PERSONAL_ACCESS_TOKENS: [[{"id": "id", "expirationDate": "2027-02-15T08:00:00Z"}]],
}
TRUTH = {
    SeriesKey(counting.IMPORT_ERRORS, ("SOURCE",)): 2.0,
    SeriesKey(counting.IMPORT_WARNINGS, ("SOURCE",)): 1.0,
    SeriesKey(counting.IMPORTED_OBJECTS, ("SOURCE",)): 3.0,
    SeriesKey(counting.IMPORT_RESULTS, ("counted",)): 1.0,
    SeriesKey(counting.JOBS_FINISHED, ("import", "COMPLETE")): 1.0,
    SeriesKey(counting.JOBS_FINISHED, ("export", "COMPLETE")): 1.0,
    SeriesKey(counting.JOBS_FINISHED, ("backup", "COMPLETE")): 1.0,
}

NAMES = st.sampled_from(
    [
        *("status", "jobId", "created", "completed"),
        *("results", "SOURCE", "errors", "infos", "key"),
        *("access_token", "expires_in", "items", "approvalStatus", "isPartial", "expirationDate"),
    ]
) | st.text(max_size=5)
KNOWN = ["COMPLETE", "IN_PROGRESS", "IMPORT_PREVIEW", "2027-01-15T08:00:00Z", "acme"]
WORDS = st.sampled_from(KNOWN) | st.text(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)
BODIES = st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode())


@dataclass(frozen=True)
class Spoilt:
    """One answer that is not what it should be: the `turn`-th of its endpoint."""

    endpoint: Endpoint
    turn: int
    body: bytes

    @property
    def readable(self) -> bool:
        decoders: dict[Endpoint, Callable[[bytes], object]] = {
            Endpoint.TOKEN: wire.decode_token,
            Endpoint.CONFIG_OBJECTS: wire.decode_object_types,
            Endpoint.IMPORT_RESULT: wire.decode_result,
            Endpoint.BACKUPS: _decode_backups,
            Endpoint.PERSONAL_ACCESS_TOKENS: lambda body: lists.decode_credential_end(body, "id", lambda _: None),
        }
        decode = decoders.get(self.endpoint, _decode_status)
        try:
            decode(self.body)
        except Unreadable:
            return False
        return True


def _decode_status(body: bytes) -> object:
    return wire.decode_status(body, KEY, observed_s=0.0, unknown=lambda _: None)


def _decode_backups(body: bytes) -> object:
    reading = lists.Reading("acme", frozenset(), 0.0, lambda _: None)
    return lists.decode_list(body, Operation.BACKUP, reading)


class Tenant(Transport):
    """Answers in-process, in the order of `GOOD`, but for one answer."""

    def script(self, spoilt: Spoilt) -> None:
        self._spoilt = spoilt
        self.asked: Counter[str] = Counter()

    async def ask(
        self,
        endpoint: Endpoint,
        url: str,
        versions: Sequence[str],
        *,
        max_bytes: int,
        token: str | None = None,
        form: Mapping[str, str] | None = None,
        sink: Sink | None = None,
    ) -> Answer:
        """See `Transport.ask`."""
        del url, versions, max_bytes, token, form
        turn = self.asked[endpoint]
        self.asked[endpoint] += 1
        body = json.dumps(GOOD[endpoint][min(turn, len(GOOD[endpoint]) - 1)]).encode()
        if (endpoint, turn) == (self._spoilt.endpoint, self._spoilt.turn):
            body = self._spoilt.body
        if sink is None:
            return Answer(200, {}, body)
        await sink.take(body)
        return Answer(200, {}, b"")


async def lived(spoilt: Spoilt) -> tuple[Lost, TenantView, Tenant]:
    """Poll an import, an export and a backup to their ends, and for a while more."""
    clock, board, lease, heard, ledger = (
        FakeClock(START_WALL_S),
        LatestViews(),
        HeldBy(),
        Lost(),
        MemoryLedger(math.inf),
    )
    vitals = Vitals("http://x", "v1", clock)
    tenant = Tenant("acme", Mock(), Route(), gate=Gate(RateLimit(), clock), vitals=vitals, exchanges=heard, clock=clock)
    tenant.script(spoilt)
    tokens = TokenSource(Credential("http://x/oauth/token", "id", lambda: "planted-client-secret"), tenant, clock)
    client = TenantClient("http://x", "v1", tokens=tokens, transport=tenant, limits=MaxAnswer(1, 1), clock=clock)
    care = Care(discover=(Operation.BACKUP,), asks_credential_end=True)
    polling = TenantPolling(
        "acme", GROUP, client, care, ledger=ledger, board=board, lease=lease, clock=clock, exchanges=heard
    )
    poller = Poller(GROUP, lease=lease, clock=clock, pulse=Beats())
    await poller.add("acme", polling, (await ledger.restore([Terms("acme")]))["acme"])
    await poller.watch("acme", (WatchedJob(KEY), WatchedJob(OTHER)), ())
    task = asyncio.create_task(poller.run())
    end_s = clock.monotonic() + LASTS_S
    await settle()
    while (wake_s := clock.next_wake()) is not None and wake_s <= end_s and not task.done():
        clock.jump_to(wake_s)
        await settle()
        board.served({view.tenant: view.version for view in board.snapshot()}, clock.wall())
    assert not task.done()
    task.cancel()
    (view,) = board.snapshot()
    return heard, view, tenant


@settings(deadline=None)  # minutes of polling each
@given(endpoint=st.sampled_from(list(GOOD)), turn=st.integers(0, 2), body=BODIES)
def test_any_body_in_place_of_any_answer_does_one_malformed_error_at_most(
    endpoint: Endpoint, turn: int, body: bytes
) -> None:
    """An unreadable body costs one error and nothing else; a readable one is believed, and counted once."""
    spoilt = Spoilt(endpoint, turn, body)
    heard, view, tenant = asyncio.run(lived(spoilt))
    counted = {key: cell.published for key, cell in view.state.totals.items()}
    met = tenant.asked[endpoint] > turn
    if met and not spoilt.readable:
        assert heard.reasons == {"malformed": 1}
    else:
        assert not heard.reasons
    if not (met and spoilt.readable):
        assert {key: counted[key] for key in TRUTH} == TRUTH
        assert view.credential_expires_s == ENDS_S
        assert view.health.troubles == {}
    assert counted[SeriesKey(counting.IMPORT_RESULTS, ("counted",))] <= 1
    for key in (KEY, OTHER):
        assert sum(counted[SeriesKey(counting.JOBS_FINISHED, (key.operation, state))] for state in ENDED_STATES) <= 1
    assert view.health.up is True
