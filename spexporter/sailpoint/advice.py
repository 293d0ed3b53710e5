"""What an operator can do about a failure, in words."""

from dataclasses import dataclass

from spexporter.sailpoint.endpoints import LIST_ENDPOINT, Endpoint
from spexporter.sailpoint.wire import Grants

_USER_LEVEL = "ORG_ADMIN"
_ADMIN = f"the user level Admin ({_USER_LEVEL})"
NO_USER = (
    "the token has no user context: use the client id and secret of a personal access token of a user with the "
    f"user level Admin ({_USER_LEVEL}), not of an API client"
)
_MANAGE = "sp:config:manage"
# A token with one of these may have been given what is asked for, so that nothing is missing for certain.
_BROAD = frozenset({"sp:scopes:all", "sp:scopes:default"})


@dataclass(frozen=True, slots=True)
class _Need:
    """What an endpoint wants: a scope (one of `or_scopes` does as well), and a user level, in words."""

    scope: str
    or_scopes: frozenset[str]
    level: str = _ADMIN

    def met_by(self, scopes: frozenset[str]) -> bool:
        return bool(scopes & ({self.scope} | self.or_scopes | _BROAD))


def _of_sp_config(scope: str) -> _Need:
    return _Need(scope, frozenset({_MANAGE}))


def _of_hub(service: str) -> _Need:
    """Return what a list wants; which level is the lowest that may read it is not published."""
    level = f"a user level that may use Configuration Hub, such as Admin ({_USER_LEVEL})"
    return _Need(f"sp:{service}:read", frozenset({f"sp:{service}:manage"}), level)


_NEEDS = {
    Endpoint.CONFIG_OBJECTS: _of_sp_config("sp:config:read"),
    Endpoint.EXPORT_STATUS: _of_sp_config("sp:config:read"),
    Endpoint.IMPORT_STATUS: _of_sp_config(_MANAGE),
    Endpoint.IMPORT_RESULT: _of_sp_config(_MANAGE),
    Endpoint.BACKUPS: _of_hub("config-backup"),
    Endpoint.UPLOADS: _of_hub("config-backup"),
    Endpoint.DRAFTS: _of_hub("config-draft"),
    Endpoint.DEPLOYS: _of_hub("config-deploy"),
    Endpoint.PERSONAL_ACCESS_TOKENS: _Need(
        "sp:my-personal-access-tokens:read",
        frozenset(
            f"sp:{whose}-personal-access-tokens:{right}" for whose in ("my", "all") for right in ("read", "manage")
        ),
        level="any user level",
    ),
}


def about_forbidden(endpoint: Endpoint, grants: Grants) -> str:
    """Say which scope, user level or user context a 403 on `endpoint` asks for, as far as the token shows it.

    Source: SailPoint API specification (`security` and `x-sailpoint-userLevels`); "Authentication", on user context.
    """
    need = _NEEDS[endpoint]
    if grants.has_user is False:
        return (
            f"the token has no user context: use the client id and secret of a personal access token of a user with "
            f"{need.level}, not of an API client"
        )
    if grants.scopes is not None and not need.met_by(grants.scopes):
        return f"the personal access token lacks the scope {need.scope}: make one that has it"
    if need.level == _ADMIN and grants.authorities is not None and _USER_LEVEL not in grants.authorities:
        return f"the owner of the personal access token lacks {_ADMIN}"
    return (
        f"give the personal access token the scope {need.scope}, and its owner {need.level}; "
        "a scope beyond the owner's user level has no effect"
    )


def about_unauthorized(endpoint: Endpoint) -> str:
    """Say what a refused credential needs."""
    if endpoint is Endpoint.TOKEN:
        return (
            "check client_id and client_secret; the personal access token may have expired or been deleted, and it "
            "must belong to this tenant"
        )
    return "the tenant refuses a token that it has just issued: check that base_url and token_url belong to one tenant"


def about_not_found(endpoint: Endpoint) -> str:
    """Say what a 404 asks for; nothing where it is about one job."""
    if endpoint is Endpoint.TOKEN:
        return "check org, base_url and token_url: tokens come from the API host, such as acme.api.identitynow.com"
    if endpoint in LIST_ENDPOINT.values():
        return f"take {endpoint} out of discover, or set another api_version: beta has no lists of Configuration Hub"
    if endpoint is Endpoint.PERSONAL_ACCESS_TOKENS:
        return "set credential_expires to the date at which the personal access token ends"
    return about_wrong_host() if endpoint is Endpoint.CONFIG_OBJECTS else ""


def about_wrong_host() -> str:
    """Say what an address needs that is not of an API known to us."""
    return "check that org or base_url names the API host, such as https://acme.api.identitynow.com, or set api_version"


def about_unreachable(text: str) -> str:
    """Say what a connection that cannot be made needs; `text` is the error's own."""
    lowered = text.lower()
    if "certificate" in lowered:
        return "set ca_file when a proxy or a private authority signs the certificate; check the host name in base_url"
    if "name or service not known" in lowered or "dns" in lowered or "nodename" in lowered or "domain name" in lowered:
        return "check the host name in org or base_url, and this host's DNS"
    if "[ssl:" in lowered:
        return "check the port in base_url, and the proxy setting: what answers there may not speak https"
    return "check base_url, the proxy setting, and that this host may connect to it"


NO_SUCH_JOB = "check id, operation and tenant of the job; SailPoint forgets a job some days after it began"
PROXY = "check proxy, its user and password, and that it lets connections to this host through"
WAIT = "wait: the tenant or its gateway is in trouble; if it goes on, give the tracking id to SailPoint's support"
TIMED_OUT = "check that this host may connect to base_url; raise timeout if the tenant is only slow"
