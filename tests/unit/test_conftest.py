import pytest

from tests.conftest import PLANTED
from tests.support.secrets import leaks


@pytest.mark.parametrize("secret", PLANTED)
def test_the_search_for_secrets_can_find_them(secret: str) -> None:
    """A log line with a planted secret in it, plain or urlencoded, does not pass."""
    assert leaks(f"ts=1 level=debug event=request error='bad {secret}'", PLANTED)
    assert not leaks("ts=1 level=debug event=request", PLANTED)
