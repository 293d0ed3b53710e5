"""What an HTTP status means, in our own error tree."""

from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from spexporter.clock import Clock
from spexporter.domain.errors import (
    TenantForbidden,
    TenantNotFound,
    TenantRejected,
    TenantServerError,
    TenantThrottled,
    TenantUnauthorized,
)
from spexporter.sailpoint import advice
from spexporter.sailpoint.endpoints import Endpoint
from spexporter.sailpoint.transport import Answer, Transport
from spexporter.sailpoint.wire import NOTHING_SHOWN, Grants, decode_error

# To find one in its enumeration takes as long as a call.
_OK, _MULTIPLE_CHOICES = HTTPStatus.OK.value, HTTPStatus.MULTIPLE_CHOICES.value


def check(
    answer: Answer,
    endpoint: Endpoint,
    versions: Sequence[str],
    transport: Transport,
    *,
    clock: Clock,
    grants: Grants = NOTHING_SHOWN,
) -> None:
    """Return where the answer is good (2xx), keep the tenant's vitals, and pause the budgets of `versions` after a 429.

    Whether a 2xx shows that the tenant is up is for the caller to say, who reads its body; a 401 leaves it alone, as a
    new token may cure it.

    Raises:
        TenantError: the subclass that the status stands for, in words an operator can use.
    """
    status = answer.status
    if _OK <= status < _MULTIPLE_CHOICES:
        transport.gate.answered()
        return
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        asked_s = retry_after_s(answer.headers.get("Retry-After"), wall_s=clock.wall())
        until_s = transport.gate.throttled(versions, asked_s)
        pause_s = until_s - clock.monotonic()
        transport.vitals.throttled(clock.wall() + pause_s)
        raise TenantThrottled(f"rate limit exceeded, paused for {pause_s:g} s", endpoint=endpoint, pause_s=pause_s)
    transport.gate.answered()
    if status not in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
        transport.vitals.up(up=status < HTTPStatus.INTERNAL_SERVER_ERROR)
    said = decode_error(answer.body)
    message = f"{endpoint} answered {status}: {said.text}"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TenantServerError(message, endpoint=endpoint, cure=advice.WAIT, tracking_id=said.tracking_id)
    if status == HTTPStatus.UNAUTHORIZED:
        cure = advice.about_unauthorized(endpoint)
        raise TenantUnauthorized(message, endpoint=endpoint, cure=cure, tracking_id=said.tracking_id)
    if status == HTTPStatus.FORBIDDEN:
        cure = advice.about_forbidden(endpoint, grants)
        raise TenantForbidden(message, endpoint=endpoint, cure=cure, tracking_id=said.tracking_id)
    if status == HTTPStatus.NOT_FOUND:
        cure = advice.about_not_found(endpoint)
        raise TenantNotFound(message, endpoint=endpoint, cure=cure, tracking_id=said.tracking_id)
    if status < HTTPStatus.BAD_REQUEST:
        where = answer.headers.get("Location", "elsewhere").split("?")[0]
        message = f"{endpoint} answered {status}: redirected to {where[:200]}, which is not followed"
        raise TenantRejected(message, endpoint=endpoint, cure=advice.about_wrong_host())
    raise TenantRejected(message, endpoint=endpoint, tracking_id=said.tracking_id)


def retry_after_s(value: str | None, *, wall_s: float) -> float | None:
    """Return the pause that `Retry-After` asks for, in seconds, at least 0; None where it is missing or unreadable.

    Source: RFC 9110 section 10.2.3: seconds, or an HTTP date (then measured from `wall_s`, our Unix time).
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - wall_s)
    except (ValueError, OverflowError):
        return None
