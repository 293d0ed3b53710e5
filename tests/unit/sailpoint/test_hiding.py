import pytest
from hypothesis import given
from hypothesis import strategies as st

from spexporter.sailpoint.hiding import Hiding, without

SECRETS = st.text("ab/+ ", min_size=1, max_size=4)


@given(secret=SECRETS, words=st.lists(SECRETS | st.just("SECRET")), cuts=st.lists(st.integers(0, 60)))
def test_a_secret_is_hidden_in_whichever_pieces_it_comes(secret: str, words: list[str], cuts: list[int]) -> None:
    """Nothing of a body gets lost, and what is left has no whole secret in it."""
    body = "".join(secret if word == "SECRET" else word for word in words).encode()
    hiding = Hiding(secret)
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [hiding.without(body[places[turn] : places[turn + 1]]) for turn in range(len(places) - 1)]
    left = b"".join([*pieces, hiding.rest()])
    assert secret.encode() not in left.replace(b"(hidden)", b"|")
    if secret not in body.decode():
        assert left == without(body, secret)


def test_a_body_without_a_secret_is_the_very_same() -> None:
    """A long one is not copied."""
    body = b"nothing " * 10
    assert without(body, "planted-token", "") is body


@pytest.mark.parametrize("written", ["a/b+c d", "a%2Fb%2Bc%20d", "a/b%2Bc%20d", "a%2Fb%2Bc+d"])
def test_a_secret_is_hidden_in_each_spelling(written: str) -> None:
    """Gateways quote what they repeat in several ways."""
    assert without(f"you sent {written}!".encode(), "a/b+c d") == b"you sent (hidden)!"
