"""What a simulated tenant is like: its credential, its versions, its pace."""

from dataclasses import dataclass

from spexporter.simulator.calls import API_VERSIONS
from spexporter.simulator.chance import chance, hex_id
from spexporter.simulator.faults import Fault

COMPANIES = ("acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "wonka", "tyrell", "cyberdyne")
STAGES = ("prod", "sandbox")

SP_CONFIG_SCOPES = ("sp:config:read", "sp:config:manage")
HUB_SCOPES = ("sp:config-backup:read", "sp:config-draft:read", "sp:config-deploy:read")
OWN_TOKENS_SCOPE = "sp:my-personal-access-tokens:read"
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class TenantPlan:
    """One tenant of the simulator.

    `jobs_at_start` jobs began before the simulator did; `starts_per_minute` more begin by themselves (0: none). The
    medians are those of a log-normal distribution. A credential without `has_user` is a plain API client, one without
    `has_admin` a user below the level that SP-Config asks for: both get a token and are then refused.
    `faults` are what it does wrong, mostly nothing.

    Of Configuration Hub: `hub_jobs_at_start` (None: as many as of SP-Config) are in its lists from the beginning, after
    `hub_old_failures` backups that failed, one a day, long before; `hub_starts_per_minute` (None: a quarter of
    `starts_per_minute`) more begin by themselves. With `hub_limits` no more are kept than SailPoint keeps.
    The credential is a personal access token that ends `credential_lasts_s` after the simulator's start, None for
    never; it can ask when it ends where `scopes` has `OWN_TOKENS_SCOPE`.
    """

    name: str
    client_id: str
    client_secret: str
    jobs_at_start: int = 9
    starts_per_minute: float = 2.0
    versions: tuple[str, ...] = API_VERSIONS
    scopes: tuple[str, ...] = (*SP_CONFIG_SCOPES, *HUB_SCOPES, OWN_TOKENS_SCOPE)
    has_admin: bool = True
    has_user: bool = True
    token_lifetime_s: int = 43_200
    export_median_s: float = 20.0
    import_median_s: float = 12.0
    faults: tuple[Fault, ...] = ()
    hub_jobs_at_start: int | None = None
    hub_starts_per_minute: float | None = None
    hub_old_failures: int = 0
    hub_limits: bool = False
    credential_lasts_s: float | None = None


def default_plans(count: int, seed: int = 1) -> tuple[TenantPlan, ...]:
    """Return `count` tenants with believable names, each with a credential of its own.

    The first has a longer history, so that three of them together show every state a job can have. Every third
    credential never ends, the others do in 20 and 200 days.
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
        credential_lasts_s=(None, 20 * DAY_S, 200 * DAY_S)[number % 3],
    )
