"""Who may come in, and what every answer says besides: as the web configuration file has it."""

import base64
import binascii
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from spexporter.web.passwords import Passwords, TooManyLooks
from spexporter.web.webfile import WebFile

log: structlog.stdlib.BoundLogger = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_FOR_EVERYBODY = ("/-/healthy", "/-/ready")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}


class Door:
    """Asks for user and password where the file names users, and adds headers."""

    def __init__(self, web_file: WebFile) -> None:
        self._web_file = web_file
        self._passwords = Passwords()

    def add_to(self, app: web.Application) -> None:
        """Let nobody in unasked, and let every answer have its headers."""

        @web.middleware
        async def ask(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._refusal(request) or await handler(request)

        app.middlewares.append(ask)
        app.on_response_prepare.append(self._add_headers)

    async def _refusal(self, request: web.Request) -> web.Response | None:
        """Return the answer to who may not come in."""
        users = self._web_file.present.users
        if not users or request.path in _FOR_EVERYBODY:
            return None
        peer = request.remote or ""
        try:
            given = _given(request)
            if given and await self._passwords.fit(users, *given, peer):
                return None
        except TooManyLooks:
            text = "Too many passwords are being looked at; ask again later.\n"
            return web.Response(status=429, text=text, headers={"Retry-After": "1"})
        log.debug("access_refused", peer=peer, password_given=given is not None)
        text = "This needs a user and a password.\n"
        return web.Response(status=401, text=text, headers={"WWW-Authenticate": 'Basic realm="spexporter"'})

    async def _add_headers(self, _request: web.Request, response: web.StreamResponse) -> None:
        # A page that brings its own, such as a policy with its own nonce, knows best.
        for name, value in {**_HEADERS, **self._web_file.present.headers}.items():
            response.headers.setdefault(name, value)


def _given(request: web.Request) -> tuple[bytes, bytes] | None:
    """Return user and password that a request gives, as bytes: nobody says in which encoding."""
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None
