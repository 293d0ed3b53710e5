"""Versions of a mapping stay as they are, whatever becomes of it."""

from hypothesis import given
from hypothesis import strategies as st

from spexporter.ledger.versions import Versions

KEYS = st.integers(0, 12)
PUTS = st.tuples(st.just("put"), KEYS)
POPS = st.tuples(st.just("pop"), KEYS)
TELLS = st.tuples(st.just("tell"), st.none())
READS = st.tuples(st.just("read"), st.none())


@given(st.lists(PUTS | PUTS | PUTS | POPS | TELLS | TELLS | READS, max_size=60), st.sampled_from((0, 5, 500)))
def test_each_version_is_what_a_copy_would_have_been(steps: list[tuple[str, int | None]], few: int) -> None:
    """In the same order, too, whether it was read before the next change or not; and the mapping itself is the last."""
    versions, plain = Versions[int, int](few), dict[int, int]()
    told = []
    for number, (step, key) in enumerate(steps):
        if step == "put" and key is not None:
            versions.put(key, number)
            plain[key] = number
        elif step == "pop" and key is not None:
            versions.pop(key)
            plain.pop(key, None)
        elif step == "tell":
            told.append((versions.version(), plain.copy()))
        elif told:
            list(told[-1][0].values())
    told.append((versions.version(), plain.copy()))
    assert list(versions) == list(plain)
    assert all(versions.get(key) == plain.get(key) and (key in versions) == (key in plain) for key in range(13))
    for version, copy in told:
        assert {key: version.get(key) for key in range(13)} == {key: copy.get(key) for key in range(13)}
        assert {key: key in version for key in range(13)} == {key: key in copy for key in range(13)}
        assert all(version[key] == copy[key] for key in copy)
        assert list(version.items()) == list(copy.items())
        assert list(version.values()) == list(copy.values())
        assert len(version) == len(copy)
        assert version == copy


def test_what_has_not_changed_is_shared() -> None:
    """Versions of many values that follow each other hold a few of their own."""
    versions = Versions[int, str]()
    for key in range(1000):
        versions.put(key, "old")
    before = versions.version()
    versions.put(7, "new")
    after = versions.version()
    assert (before[7], after[7], after.get(8), after.get(-1, "none")) == ("old", "new", "old", "none")
    assert len(list(after.values())) == len(before) == 1000
