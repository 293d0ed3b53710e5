"""Requests that are refused: what the API answers, and the words that help."""

import difflib
from collections.abc import Collection, Sequence

import msgspec


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


def would_be_right(word: str, known: Collection[str]) -> str:
    """Return the nearest of the `known` words as a question, else all of them, or some where there are many."""
    if near := difflib.get_close_matches(word, known, n=1):
        return f"did you mean {near[0]}?"
    named = list(known)[:_NAMED]
    more = len(known) - len(named)
    return f"known here are {', '.join(named) or 'none'}" + (f" and {more} more" if more else "")


_NAMED = 10
