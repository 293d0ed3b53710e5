"""What an operator can do about a failure, in words."""

from spexporter.sailpoint.endpoints import Endpoint
from spexporter.sailpoint.wire import Grants

_READ, _MANAGE = "sp:config:read", "sp:config:manage"
_SCOPES = {
    Endpoint.CONFIG_OBJECTS: _READ,
    Endpoint.EXPORT_STATUS: _READ,
    Endpoint.IMPORT_STATUS: _MANAGE,
    Endpoint.IMPORT_RESULT: _MANAGE,
}
# A token with one of these may have been given what is asked for, so that nothing is missing for certain.
_ENOUGH = frozenset({_MANAGE, "sp:scopes:all", "sp:scopes:default"})
_USER_LEVEL = "ORG_ADMIN"
NO_USER = (
    "the token has no user context: use the client id and secret of a personal access token of a user with the "
    f"user level Admin ({_USER_LEVEL}), not of an API client"
)


def about_forbidden(endpoint: Endpoint, grants: Grants) -> str:
    """Say which scope, user level or user context a 403 on `endpoint` asks for, as far as the token shows it.

    Source: SailPoint API specification (`security` and `x-sailpoint-userLevels`); "Authentication", on user context.
    """
    scope = _SCOPES[endpoint]
    if grants.has_user is False:
        return NO_USER
    if grants.scopes is not None and not grants.scopes & {scope, *_ENOUGH}:
        return f"the personal access token lacks the scope {scope}: make one that has it"
    if grants.authorities is not None and _USER_LEVEL not in grants.authorities:
        return f"the owner of the personal access token lacks the user level Admin ({_USER_LEVEL})"
    return (
        f"give the personal access token the scope {scope}, and its owner the user level Admin ({_USER_LEVEL}); "
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
    return "check base_url, the proxy setting, and that this host may connect to it"


NO_SUCH_JOB = "check id, operation and tenant of the job; SailPoint forgets a job some days after it began"
PROXY = "check proxy, its user and password, and that it lets connections to this host through"
WAIT = "wait: the tenant or its gateway is in trouble; if it goes on, give the tracking id to SailPoint's support"
TIMED_OUT = "check that this host may connect to base_url; raise timeout if the tenant is only slow"
