"""Lets aioresponses build its answers with aiohttp 3.14 and newer.

aiohttp's ClientResponse asks for a `stream_writer` since 3.14 and aioresponses 0.7.9 does not give it one, so that
every scripted answer is a TypeError. tests/unit/test_aioresponses_compat.py tells when this module can go.

Source: https://github.com/pnuckowski/aioresponses/issues/289
"""

from typing import Any
from unittest.mock import Mock

from aiohttp import ClientResponse
from aiohttp.abc import AbstractStreamWriter
from yarl import URL


class ScriptedResponse(ClientResponse):
    """A ClientResponse whose request needed no writing: `mocked.get(url, …, response_class=ScriptedResponse)`.

    aioresponses does not look at the session's own `response_class`, so each answer names it.
    """

    def __init__(self, method: str, url: URL, **given: Any) -> None:  # noqa: ANN401 - handed on as it is
        """See `ClientResponse`; a `stream_writer` that is given is kept."""
        given.setdefault("stream_writer", Mock(spec=AbstractStreamWriter, output_size=0))
        super().__init__(method, url, **given)
