"""The published rate limit, as a sliding window."""

import math
from collections import defaultdict, deque

from spexporter.simulator.calls import API_VERSIONS


class RateLimiter:
    """Lets `requests` requests through in any `per_s` seconds, for each client id and API version.

    Refused requests take no place in the window. A token request belongs to no version: it takes a place in every
    window of its client, unless `count_tokens` is off, and needs a free one in each. Times are monotonic seconds.
    Source: the gateway's rate limit page; whether tokens count is not published, this is the stricter reading.
    """

    def __init__(self, requests: int = 100, per_s: float = 10.0, *, count_tokens: bool = True) -> None:
        self._requests = requests
        self._per_s = per_s
        self._count_tokens = count_tokens
        self._windows: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)

    def take(self, client_id: str, version: str, now_s: float, *, taken: int = 0) -> int:
        """Take a place for one request; return 0, or the whole seconds after which there is one.

        Somebody else has `taken` so many places, and goes on taking as many.
        """
        return self._take([self._window(client_id, version, now_s)], now_s, taken)

    def take_for_token(self, client_id: str, now_s: float, *, taken: int = 0) -> int:
        """Take a place in every window of the client; return 0, or the whole seconds after which there are such."""
        if not self._count_tokens:
            return 0
        return self._take([self._window(client_id, version, now_s) for version in API_VERSIONS], now_s, taken)

    def _window(self, client_id: str, version: str, now_s: float) -> deque[float]:
        window = self._windows[client_id, version]
        while window and now_s - window[0] >= self._per_s:
            window.popleft()
        return window

    def _take(self, windows: list[deque[float]], now_s: float, taken: int) -> int:
        # Until enough of ours have left; where we have none, and yet there is no room, for the length of a window.
        waits_s = [
            window[min(over, len(window) - 1)] + self._per_s - now_s if window else self._per_s
            for window in windows
            if (over := len(window) + taken - self._requests) >= 0
        ]
        if waits_s:
            return max(1, math.ceil(max(waits_s)))
        for window in windows:
            window.append(now_s)
        return 0


def most_in_any_window(times_s: list[float], per_s: float) -> int:
    """Return the highest number of `times_s` (ascending) that lie less than `per_s` apart."""
    most = first = 0
    for last, last_s in enumerate(times_s):
        while last_s - times_s[first] >= per_s:
            first += 1
        most = max(most, last - first + 1)
    return most
