"""Every answer that refuses, with its published body."""

from collections.abc import Mapping

JWT_EXPIRED = "JWT validation failed: JWT is expired"


class Refusal(Exception):
    """An answer other than 2xx; whoever sends it adds a `trackingId` where the body has `messages`.

    `page` is the HTML that a gateway sends instead of the body.
    """

    def __init__(
        self,
        status: int,
        body: Mapping[str, object],
        headers: Mapping[str, str] | None = None,
        page: bytes | None = None,
    ) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body
        self.headers = headers or {}
        self.page = page


def bad_request(detail_code: str, text: str) -> Refusal:
    """400 of the API."""
    return described(400, detail_code, text)


def forbidden() -> Refusal:
    """403: the scope, the user level or the user behind the token is missing; the body does not say which."""
    return described(403, "403 Forbidden", "The server understood the request but refuses to authorize it.")


def not_found() -> Refusal:
    """404: no such tenant, version, path, job or artifact."""
    text = "The server did not find a current representation for the target resource."
    return described(404, "404 Not found", text)


def unauthorized(error: str) -> Refusal:
    """401 of the API: no token, or none that is good here and now."""
    return Refusal(401, {"error": error})


def token_refused(status: int, error: str, description: str) -> Refusal:
    """400 or 401 of the token endpoint."""
    return Refusal(status, {"error": error, "error_description": description})


def rate_limited(retry_after_s: int) -> Refusal:
    """429 of the gateway; the spaces in the message are published so."""
    return Refusal(429, {"message": " Rate Limit Exceeded "}, {"Retry-After": str(retry_after_s)})


def described(status: int, detail_code: str, text: str) -> Refusal:
    """Any other refusal of the API: the shape is the same for 400, 403, 404 and 5xx."""
    message = {"localeOrigin": "DEFAULT", "text": text, "locale": "en-US"}
    return Refusal(status, {"detailCode": detail_code, "messages": [message]})
