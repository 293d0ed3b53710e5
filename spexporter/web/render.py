"""How pages for people are rendered: templates that escape everything, and files that they need, from this package."""

import hashlib
from collections.abc import Mapping
from importlib.resources import files

import jinja2
from aiohttp import web

from spexporter import __version__
from spexporter.clock import Pace
from spexporter.web import words

_FILES = {"page.css": "text/css", "page.js": "text/javascript"}
_UNITS_PER_PIECE = 20  # a template yields a piece for each expression
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class Templates:
    """Renders pages, and serves the style and the script that they use."""

    def __init__(self) -> None:
        folder = files("spexporter.web") / "static"
        self._files = {name: (folder / name).read_bytes() for name in _FILES}
        digest = hashlib.sha256(b"".join(self._files.values())).hexdigest()[:12]
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("spexporter.web"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {"relative": words.relative, "span": words.span, "stamp": words.stamp}
        self._environment.globals |= {"version": __version__, "digest": digest}
        self._environment.globals["parts"] = self._environment.get_template("parts.html").module

    async def page(self, name: str, facts: Mapping[str, object], *, status: int = 200, depth: int = 0) -> web.Response:
        """Render a page that is `depth` folders below the first; its links are relative, so that any prefix will do.

        Others run meanwhile: a page can have a hundred rows.
        """
        pace, pieces = Pace(), []
        for piece in self._environment.get_template(name).generate(facts, root="../" * depth):
            pieces.append(piece)
            await pace.did(_UNITS_PER_PIECE)
        headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
        return web.Response(status=status, text="".join(pieces), content_type="text/html", headers=headers)

    async def static(self, request: web.Request) -> web.Response:
        """Serve the style or the script; its address carries a digest of its content."""
        name = request.match_info["name"]
        if name not in self._files:
            raise web.HTTPNotFound
        headers = {"Cache-Control": "public, max-age=86400", "Content-Security-Policy": _POLICY}
        return web.Response(body=self._files[name], content_type=_FILES[name], charset="utf-8", headers=headers)
