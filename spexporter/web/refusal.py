"""Requests that are refused: what the API answers, and the words that help."""

import difflib
import heapq
from collections.abc import Callable, Collection, Sequence

import msgspec
from aiohttp import web


class Mistake(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One mistake in a body: the key it is under, empty for the body as a whole, and what would be right."""

    key: str
    message: str


class ErrorAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Why a request was refused, and what would be right; `mistakes` where single keys of a body are wrong."""

    error: str
    mistakes: Sequence[Mistake] = ()


class Refusal(Exception):
    """A request is answered with this status, above 399, and error instead."""

    def __init__(self, status: int, error: str, mistakes: Sequence[Mistake] = ()) -> None:
        super().__init__(error)
        self.status = status
        self.answer = ErrorAnswer(error, mistakes)


def tried_elsewhere(response: web.Response) -> web.Response:
    """Let whoever asks for another replica's tenant try again, over a connection that may be to that one."""
    response.headers["Retry-After"] = "5"
    response.force_close()
    return response


def would_be_right(word: str, known: Collection[str]) -> str:
    """Return the nearest of the `known` words as a question, else all of them, or some where there are many.

    Of very many only those that begin alike, or else are of the same length, are looked at: a look takes a while, and
    everybody else waits.
    """
    alike = heapq.nsmallest(_COMPARED, known, key=lambda it: (it[:2] != word[:2], abs(len(it) - len(word))))
    if near := difflib.get_close_matches(word, alike, n=1):
        return f"did you mean {near[0]}?"
    named = list(known)[:_NAMED]
    more = len(known) - len(named)
    return f"known here are {', '.join(named) or 'none'}" + (f" and {more} more" if more else "")


def some(wrong: Sequence[str], describe: Callable[[str], str]) -> list[str]:
    """Describe the first of many wrong words, and say how many there are besides."""
    more = len(wrong) - _DESCRIBED
    return [*map(describe, wrong[:_DESCRIBED]), *([f"{more} more are wrong, too"] if more > 0 else [])]


_NAMED = 10
_COMPARED = 200
_DESCRIBED = 5
