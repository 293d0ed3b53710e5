"""How a tenant is connected: its own client and token, and the gate that it shares with all of its client id."""

import hashlib
import ssl
from pathlib import Path
from weakref import WeakValueDictionary

import aiohttp

from spexporter.clock import Clock
from spexporter.config.values import Tenant
from spexporter.domain.ports import Exchanges, Group
from spexporter.domain.values import replace
from spexporter.sailpoint.auth import Credential, TokenSource
from spexporter.sailpoint.client import TenantClient, Told
from spexporter.sailpoint.gate import Gate
from spexporter.sailpoint.transport import Route, Transport
from spexporter.sailpoint.vitals import Vitals

# With a daemon beside us that uses up to 90 % the published limit still holds.
_SHARE_BESIDE_A_DAEMON = 0.1


def group_of(tenant: Tenant) -> Group:
    """Return what stands for the tenant's client id; it tells nothing about it."""
    return group_name(tenant.client_id)


def group_name(client_id: str) -> Group:
    """Return what stands for a client id."""
    return Group(hashlib.sha256(client_id.encode()).hexdigest()[:12])


class Authorities:
    """Whom tenants trust: those whose `ca_file` says the same share one TLS context, as long as one of them uses it.

    Each has the system's authorities in it, too, and costs milliseconds and hundreds of kilobytes.
    """

    def __init__(self) -> None:
        self._contexts: WeakValueDictionary[bytes, ssl.SSLContext] = WeakValueDictionary()

    def trusted(self, ca_file: Path | None) -> ssl.SSLContext | None:
        """Return a context that trusts the system's authorities and those of `ca_file`; None for the system's alone."""
        if ca_file is None:
            return None
        pem = ca_file.read_bytes()
        if (context := self._contexts.get(pem)) is None:
            context = self._contexts[pem] = ssl.create_default_context()
            context.load_verify_locations(ca_file)
        return context


def connected(
    tenant: Tenant,
    gate: Gate,
    authorities: Authorities,
    *,
    http: aiohttp.ClientSession,
    exchanges: Exchanges,
    clock: Clock,
    told: Told | None = None,
) -> TenantClient:
    """Return a client of the tenant that stays inside `gate`; nothing is asked yet.

    `told`, where there is one, hears what imports say.
    """
    version = None if tenant.api_version == "auto" else tenant.api_version
    vitals = Vitals(tenant.base_url, version, clock)
    route = Route(tenant.timeout_s, tenant.proxy, authorities.trusted(tenant.ca_file))
    transport = Transport(tenant.name, http, route, gate=gate, vitals=vitals, exchanges=exchanges, clock=clock)
    tokens = TokenSource(Credential(tenant.token_url, tenant.client_id, tenant.secret.reveal), transport, clock)
    return TenantClient(
        tenant.base_url, version, tokens=tokens, transport=transport, limits=tenant.max_answer, clock=clock, told=told
    )


class Visitors:
    """Connects tenants for a command that comes and goes, with no ledger, board or metrics.

    All of them together use at most a tenth of the published limit of each client id: a daemon may run beside them.
    """

    def __init__(self, http: aiohttp.ClientSession, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._gates: dict[Group, Gate] = {}
        self._authorities = Authorities()

    def client(self, tenant: Tenant) -> TenantClient:
        """Return a client of the tenant; those of one client id share a gate."""
        limit = replace(tenant.rate_limit, use=min(tenant.rate_limit.use, _SHARE_BESIDE_A_DAEMON))
        gate = self._gates.setdefault(group_of(tenant), Gate(limit, self._clock))
        return connected(tenant, gate, self._authorities, http=self._http, exchanges=_Unheard(), clock=self._clock)


class _Unheard:
    """Satisfies `Exchanges`: nobody counts what a command asks."""

    def ended(self, tenant: str, endpoint: str, code: str, took_s: float, *, deprecated: bool) -> None:
        """See `Exchanges.ended`."""

    def failed(self, tenant: str, reason: str) -> None:
        """See `Exchanges.failed`."""

    def waited(self, tenant: str, wait_s: float) -> None:
        """See `Exchanges.waited`."""

    def unknown(self, field_name: str) -> None:
        """See `Exchanges.unknown`."""
