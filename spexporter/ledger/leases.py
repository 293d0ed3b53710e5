"""Who looks after which groups, in PostgreSQL: the transactions by which leases begin, last and move.

A replica lives by one row, which says until when by the server's clock: renewing it renews all its leases. Whoever
finds that the time of another is over takes its row away and frees its groups in the same transaction, so that it can
never renew again: it has to come back under another id.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from spexporter.domain.ports import Group, Owner
from spexporter.ledger.postgres import PostgresServer

_BURY = text("""
    WITH dead AS (
        DELETE FROM replicas WHERE expires_at < clock_timestamp() OR id = :former RETURNING id, expires_at
    )
    UPDATE leases SET owner = NULL, schedule = NULL, freed_at = least(dead.expires_at, clock_timestamp())
    FROM dead WHERE leases.owner = dead.id
""")
_JOIN = text("INSERT INTO replicas VALUES (:id, :name, clock_timestamp() + make_interval(secs => :lease_s))")
_BEAT = text("""
    UPDATE replicas SET expires_at = clock_timestamp() + make_interval(secs => :lease_s)
    WHERE id = :id AND expires_at > clock_timestamp()
""")
_NAME = text("""
    INSERT INTO leases (client_group, fence, generation, cost, freed_at)
    SELECT client_group, 0, 0, 1, clock_timestamp() FROM unnest(CAST(:groups AS text[])) AS ours(client_group)
    ON CONFLICT DO NOTHING
""")
_LOOK = text("""
    SELECT EXISTS (SELECT FROM replicas WHERE expires_at < clock_timestamp()) AS dead,
        ARRAY(SELECT client_group FROM leases WHERE owner IS NULL) AS free,
        EXISTS (SELECT FROM orders WHERE answer IS NULL) AS orders
""")
_LOADS = text("""
    SELECT id, coalesce(sum(cost), 0) AS cost FROM replicas LEFT JOIN leases ON owner = id GROUP BY id
""")
_FREE = text("""
    SELECT client_group, cost, coalesce(clock_timestamp() - freed_at > make_interval(secs => :lease_s), true) AS long
    FROM leases WHERE owner IS NULL AND client_group = ANY(:groups)
""")
_CLAIM = text("""
    UPDATE leases SET owner = :id, fence = nextval('fences'), generation = generation + 1
    WHERE client_group IN (
        SELECT client_group FROM leases WHERE client_group = ANY(:groups) AND owner IS NULL
        ORDER BY client_group FOR UPDATE SKIP LOCKED
    )
    RETURNING client_group, fence, schedule, extract(epoch FROM clock_timestamp() - freed_at) AS free_for_s
""")
_HELD = text("SELECT client_group, fence FROM leases WHERE owner = :id")
_HAND_OVER = text("""
    UPDATE leases SET owner = NULL, freed_at = clock_timestamp(), schedule = ours.schedule
    FROM unnest(CAST(:groups AS text[]), CAST(:schedules AS text[])) AS ours(client_group, schedule)
    WHERE owner = :id AND leases.client_group = ours.client_group
""")
_WEIGH = text("""
    UPDATE leases SET cost = weighed.cost
    FROM unnest(CAST(:groups AS text[]), CAST(:costs AS double precision[])) AS weighed(client_group, cost)
    WHERE leases.client_group = weighed.client_group AND owner = :id AND leases.cost <> weighed.cost
        AND leases.client_group IN (
            SELECT client_group FROM leases WHERE client_group = ANY(:groups)
            ORDER BY client_group FOR UPDATE SKIP LOCKED
        )
""")
_OWNERS = text("SELECT client_group, id, name FROM leases JOIN replicas ON owner = id")


class Lapsed(Exception):
    """The time of this replica's leases is over by the server's clock."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A group that is ours from now on.

    By which fence, for how long it was nobody's (seconds), and the looks that its last owner had queued, as JSON.
    """

    fence: int
    free_for_s: float
    schedule: str | None


@dataclass(frozen=True, slots=True)
class Free:
    """A group that is nobody's: what it costs, and whether it has been nobody's for longer than a lease."""

    cost: float
    long: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to do: the groups that are nobody's, and whether some replica has left an order."""

    free: frozenset[Group]
    orders: bool = False


class LeaseTable:
    """The transactions; each raises StoreError where it fails. Times in seconds."""

    def __init__(self, server: PostgresServer, lease_s: float) -> None:
        self._server = server
        self._lease_s = lease_s
        self._engine = server.engine(create=False, patience_s=lease_s)

    async def close(self) -> None:
        """Close the connections that are kept."""
        await self._engine.dispose()

    async def join(self, replica: str, name: str, *, former: str) -> None:
        """Begin as `replica`; what it held as `former` is free."""
        async with self._server.transaction(self._engine) as connection:
            await connection.execute(_BURY, {"former": former})
            await connection.execute(_JOIN, {"id": replica, "name": name, "lease_s": self._lease_s})

    async def beat(self, replica: str) -> None:
        """Renew all leases of `replica`.

        Raises:
            Lapsed: it comes too late.
        """
        async with self._server.transaction(self._engine) as connection:
            await self._beat(connection, replica)

    async def _beat(self, connection: AsyncConnection, replica: str) -> None:
        renewed = await connection.execute(_BEAT, {"id": replica, "lease_s": self._lease_s})
        if renewed.rowcount != 1:
            raise Lapsed

    async def name(self, groups: Collection[Group]) -> None:
        """Let there be leases of `groups`."""
        async with self._server.transaction(self._engine) as connection:
            await connection.execute(_NAME, {"groups": list(groups)})

    async def look(self) -> Seen:
        """Return what there is to do; the groups of replicas whose time is over are nobody's."""
        async with self._server.transaction(self._engine) as connection:
            found = (await connection.execute(_LOOK)).one()
            if found.dead:
                await connection.execute(_BURY, {"former": ""})
                found = (await connection.execute(_LOOK)).one()
            return Seen(frozenset(map(Group, found.free)), found.orders)

    async def loads(self) -> dict[str, float]:
        """Return what it costs what each replica that lives looks after, by its id."""
        async with self._server.transaction(self._engine) as connection:
            found = await connection.execute(_LOADS)
            return {row.id: row.cost for row in found}

    async def free(self, groups: Collection[Group]) -> dict[Group, Free]:
        """Return those of `groups` that are nobody's."""
        async with self._server.transaction(self._engine) as connection:
            found = await connection.execute(_FREE, {"groups": list(groups), "lease_s": self._lease_s})
            return {Group(row.client_group): Free(row.cost, row.long) for row in found}

    async def claim(self, replica: str, groups: Collection[Group]) -> dict[Group, Claimed]:
        """Make those of `groups` that are nobody's the replica's, and renew its leases; return those that are now.

        Raises:
            Lapsed: its time is over.
        """
        async with self._server.transaction(self._engine) as connection:
            await self._beat(connection, replica)
            found = await connection.execute(_CLAIM, {"id": replica, "groups": list(groups)})
            return {
                Group(row.client_group): Claimed(row.fence, float(row.free_for_s or 0.0), row.schedule) for row in found
            }

    async def held(self, replica: str) -> dict[Group, int]:
        """Return the groups that are the replica's, with their fences."""
        async with self._server.transaction(self._engine) as connection:
            found = await connection.execute(_HELD, {"id": replica})
            return {Group(row.client_group): row.fence for row in found}

    async def hand_over(self, replica: str, schedules: Mapping[Group, str]) -> None:
        """Let go of groups, each with the looks that are queued, as JSON."""
        async with self._server.transaction(self._engine) as connection:
            ours = {"id": replica, "groups": list(schedules), "schedules": list(schedules.values())}
            await connection.execute(_HAND_OVER, ours)

    async def leave(self, replica: str) -> None:
        """Let go of everything, and be no replica any more."""
        async with self._server.transaction(self._engine) as connection:
            await connection.execute(_BURY, {"former": replica})

    async def weigh(self, replica: str, costs: Mapping[Group, float]) -> None:
        """Say what the replica's groups cost."""
        async with self._server.transaction(self._engine) as connection:
            ours = {"id": replica, "groups": list(costs), "costs": list(costs.values())}
            await connection.execute(_WEIGH, ours)

    async def owners(self) -> dict[Group, Owner]:
        """Return the replica that looks after each group."""
        async with self._server.transaction(self._engine) as connection:
            return {Group(row.client_group): Owner(row.id, row.name) for row in await connection.execute(_OWNERS)}
