import aiohttp
import pytest
from aioresponses import aioresponses

from tests.support.aioresponses_compat import ScriptedResponse

URL = "https://acme.api.identitynow.com/v2026/sp-config/config-objects"


async def test_scripted_answer_reads_like_a_real_one() -> None:
    """Status, headers, body, redirect and clean-up of a scripted answer work with the installed aiohttp."""
    with aioresponses() as mocked:
        mocked.get(f"{URL}/old", status=302, headers={"Location": URL}, response_class=ScriptedResponse)
        mocked.get(
            URL, status=429, payload={"wait": True}, headers={"Retry-After": "7"}, response_class=ScriptedResponse
        )
        async with aiohttp.ClientSession() as session, session.get(f"{URL}/old") as response:
            assert response.status == 429
            assert response.headers["Retry-After"] == "7"
            assert await response.json() == {"wait": True}
            assert [before.status for before in response.history] == [302]
    assert response.closed


async def test_scripted_failure_is_raised() -> None:
    """An answer that is an exception needs no response class at all."""
    with aioresponses() as mocked:
        mocked.get(URL, exception=aiohttp.ServerDisconnectedError())
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await session.get(URL)


async def get_without_the_shim() -> None:
    with aioresponses() as mocked:
        mocked.get(URL)
        async with aiohttp.ClientSession() as session, session.get(URL):
            pytest.fail(
                "aioresponses copes with this aiohttp: remove tests/support/aioresponses_compat.py and its uses"
            )


async def test_shim_is_still_needed() -> None:
    """Without the shim an answer fails for want of a stream writer; once this test fails, the shim has had its day."""
    with pytest.raises(TypeError, match="stream_writer"):
        await get_without_the_shim()
