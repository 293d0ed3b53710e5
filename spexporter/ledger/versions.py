"""A mapping of which every version that was handed out stays as it is, and most of which all versions share."""

import math
from collections.abc import Iterator, Mapping, ValuesView
from typing import Generic, TypeVar, overload

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")


class Version(Mapping[K, V]):
    """`base` with the values of `newer`, all keys of which it has; neither changes any more.

    A look at one key costs what it does in a dictionary. Who looks at all of them gets them from one, made once.
    """

    __slots__ = ("_base", "_newer")

    def __init__(self, base: Mapping[K, V], newer: Mapping[K, V]) -> None:
        self._base = base
        self._newer = newer

    def __getitem__(self, key: K) -> V:
        newer = self._newer
        return newer[key] if key in newer else self._base[key]

    @overload
    def get(self, key: K, /) -> V | None: ...
    @overload
    def get(self, key: K, /, default: V | D) -> V | D: ...
    def get(self, key: K, /, default: V | D | None = None) -> V | D | None:
        """See `Mapping.get`."""
        newer = self._newer
        return newer[key] if key in newer else self._base.get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._base

    def __iter__(self) -> Iterator[K]:
        return iter(self._base)

    def __len__(self) -> int:
        return len(self._base)

    def values(self) -> ValuesView[V]:
        """See `Mapping.values`."""
        if self._newer:
            self._base, self._newer = {**self._base, **self._newer}, {}
        return self._base.values()


class Versions(Generic[K, V]):
    """A mapping that hands out versions of itself, each as cheap as the few values that have changed since some time.

    These are copied with each version; all others are only once there are more of these than the square root of all,
    so that a change of one of n values costs the copy of about as many as that root. Of a `few` values a plain copy
    costs less than that.
    """

    def __init__(self, few: int = 500) -> None:
        self._few = few
        self._base: dict[K, V] = {}
        self._newer: dict[K, V] = {}
        self._shared = False  # the base is part of a version, and must not change any more

    def version(self) -> Mapping[K, V]:
        """Return all as it is now."""
        self._shared = True
        return Version(self._base, self._newer.copy()) if self._newer else self._base

    def get(self, key: K) -> V | None:
        """Return what `key` stands for, None where there is none."""
        newer = self._newer
        return newer[key] if key in newer else self._base.get(key)

    def __contains__(self, key: K) -> bool:
        return key in self._base

    def __iter__(self) -> Iterator[K]:
        return iter(self._base)

    def put(self, key: K, value: V) -> None:
        """Let `key` stand for `value` from now on; a new key comes last."""
        count = len(self._base)
        if self._shared and count > self._few and key in self._base and len(self._newer) <= math.isqrt(count):
            self._newer[key] = value
        else:
            self._own()[key] = value

    def pop(self, key: K) -> None:
        """Forget `key`, known or not."""
        if key in self._base:
            del self._own()[key]

    def _own(self) -> dict[K, V]:
        """Return the base, with all that is newer in it, so that it can be changed."""
        if self._shared:
            self._base, self._newer, self._shared = {**self._base, **self._newer}, {}, False
        return self._base
