"""Refusals that are planted, whatever the request deserves."""

from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus

from spexporter.simulator.calls import TOKEN, Call
from spexporter.simulator.faults import HTTP_DATE, Fault
from spexporter.simulator.refusals import (
    JWT_EXPIRED,
    Refusal,
    bad_request,
    described,
    forbidden,
    not_found,
    rate_limited,
    token_refused,
    unauthorized,
)


def planted_refusal(fault: Fault, call: Call, now_s: float) -> Refusal:
    """Return the refusal of a `status` fault with the body published for it; `now_s` is the tenant's Unix time."""
    is_page = fault.html or fault.status < HTTPStatus.BAD_REQUEST
    page = gateway_page(fault.status) if is_page else None
    return Refusal(fault.status, _published(fault.status, call).body, _headers(fault, now_s), page)


def revoked_refusal(call: Call) -> Refusal:
    """Return the 401 that a credential meets which is no more: one for its tokens, one for the wish for a new one."""
    if call.action == TOKEN:
        return token_refused(401, "invalid_client", "Bad client credentials")
    return unauthorized(JWT_EXPIRED)


def _published(status: int, call: Call) -> Refusal:
    if status == HTTPStatus.UNAUTHORIZED:
        return revoked_refusal(call)
    known = {
        HTTPStatus.BAD_REQUEST: bad_request("400.1.3 Illegal value", "Simulated: the request was not understood."),
        HTTPStatus.FORBIDDEN: forbidden(),
        HTTPStatus.NOT_FOUND: not_found(),
        HTTPStatus.TOO_MANY_REQUESTS: rate_limited(1),
    }
    if status in known:
        return known[HTTPStatus(status)]
    return described(status, f"{status}.0 {reason(status)}", "Simulated: an internal fault occurred.")


def _headers(fault: Fault, now_s: float) -> Mapping[str, str]:
    headers = {}
    if fault.retry_after == HTTP_DATE:
        headers["Retry-After"] = formatdate(now_s + fault.seconds, usegmt=True)
    elif fault.retry_after is not None:
        headers["Retry-After"] = fault.retry_after
    if fault.status < HTTPStatus.BAD_REQUEST:
        headers["Location"] = fault.location
    return headers


def gateway_page(status: int) -> bytes:
    """Write the page of a gateway; no public sample of this API has one, it is that of a common web server."""
    title = f"{status} {reason(status)}"
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
    return f"{page}<hr><center>gateway</center>\r\n</body>\r\n</html>\r\n".encode()


def reason(status: int) -> str:
    """Return the published words for a status; 500 is called `Internal Fault`."""
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return "Internal Fault"
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown"
