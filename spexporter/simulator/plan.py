"""What a simulated tenant is like: its credential, its versions, its pace."""

from dataclasses import dataclass

from spexporter.simulator.calls import API_VERSIONS
from spexporter.simulator.chance import chance, hex_id
from spexporter.simulator.faults import Fault

COMPANIES = ("acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "wonka", "tyrell", "cyberdyne")
STAGES = ("prod", "sandbox")


@dataclass(frozen=True, slots=True)
class TenantPlan:
    """One tenant of the simulator.

    `jobs_at_start` jobs began before the simulator did; `starts_per_minute` more begin by themselves (0: none). The
    medians are those of a log-normal distribution. A credential without `has_user` is a plain API client, one without
    `has_admin` a user below the level that SP-Config asks for: both get a token and are then refused.
    `faults` are what it does wrong, mostly nothing.
    """

    name: str
    client_id: str
    client_secret: str
    jobs_at_start: int = 9
    starts_per_minute: float = 2.0
    versions: tuple[str, ...] = API_VERSIONS
    scopes: tuple[str, ...] = ("sp:config:read", "sp:config:manage")
    has_admin: bool = True
    has_user: bool = True
    token_lifetime_s: int = 43_200
    export_median_s: float = 20.0
    import_median_s: float = 12.0
    faults: tuple[Fault, ...] = ()


def default_plans(count: int, seed: int = 1) -> tuple[TenantPlan, ...]:
    """Return `count` tenants with believable names, each with a credential of its own.

    The first has a longer history, so that three of them together show every state a job can have.
    """
    return tuple(_plan(number, seed) for number in range(count))


def _plan(number: int, seed: int) -> TenantPlan:
    round_, place = divmod(number, len(COMPANIES) * len(STAGES))
    name = f"{COMPANIES[place // len(STAGES)]}-{STAGES[place % len(STAGES)]}" + (f"-{round_ + 1}" if round_ else "")
    rng = chance(seed, name, "credential")
    return TenantPlan(
        name=name,
        client_id=hex_id(rng),
        client_secret=f"simulated-secret-of-{name}-{hex_id(rng)}",
        jobs_at_start=9 if number else 12,
    )
