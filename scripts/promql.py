"""Reads the PromQL of our rules into a tree that knows the place of every word in the text, so that one can be changed.

promql-parser and promtool tell whether an expression is valid; neither tells where its parts stand. This reader knows
what our rules use and refuses the rest.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

AGGREGATIONS = ("sum", "max", "min", "group")
COMPARISONS = (">", ">=", "<", "<=", "==", "!=")
SET_OPERATORS = ("and", "or", "unless")
_PRECEDENCE = (("or",), ("and", "unless"), COMPARISONS, ("+", "-"), ("*", "/"))
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"[^"]*")
    | (?P<duration>\d+[smhdwy]\b)
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<word>[A-Za-z_][\w:]*)
    | (?P<sign>=~|!~|==|!=|>=|<=|[-+*/<>=(){}\[\],:])
    )""",
    re.VERBOSE,
)


class Word(NamedTuple):
    """One word of an expression, and where it stands."""

    text: str
    kind: str
    start: int
    end: int


class Clause(NamedTuple):
    """`by`, `without`, `on`, `ignoring` or `group_left`, with its labels; it ends after its bracket."""

    keyword: Word
    labels: tuple[Word, ...]
    end: int


class Matcher(NamedTuple):
    """A label matcher."""

    label: Word
    operator: Word
    value: Word


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression, from `start` to `end` of the text."""

    start: int
    end: int

    def parts(self) -> tuple["Node", ...]:
        """What it is made of."""
        return ()

    def walk(self) -> Iterator["Node"]:
        """Yield this part and all in it."""
        yield self
        for part in self.parts():
            yield from part.walk()


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A number."""

    text: str


@dataclass(frozen=True, slots=True)
class Selector(Node):
    """The series of one name."""

    name: str
    matchers: tuple[Matcher, ...]


@dataclass(frozen=True, slots=True)
class Ranged(Node):
    """`inner[range]`, `inner[range:step]` or `inner offset range`; `ahead` is where that begins."""

    inner: Node
    ahead: int
    durations: tuple[Word, ...]
    is_offset: bool = False

    def parts(self) -> tuple[Node, ...]:
        """See `Node.parts`."""
        return (self.inner,)


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function and its arguments."""

    function: Word
    arguments: tuple[Node, ...]

    def parts(self) -> tuple[Node, ...]:
        """See `Node.parts`."""
        return self.arguments


@dataclass(frozen=True, slots=True)
class Aggregation(Node):
    """`max without (instance) (inner)`."""

    operator: Word
    clause: Clause
    inner: Node

    def parts(self) -> tuple[Node, ...]:
        """See `Node.parts`."""
        return (self.inner,)


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Two parts with an operator between them, and how their series find each other."""

    left: Node
    operator: Word
    clauses: tuple[Clause, ...]
    right: Node

    def parts(self) -> tuple[Node, ...]:
        """See `Node.parts`."""
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class Brackets(Node):
    """A part in brackets."""

    inner: Node

    def parts(self) -> tuple[Node, ...]:
        """See `Node.parts`."""
        return (self.inner,)


def read(text: str) -> Node:
    """Return the tree of an expression.

    Raises:
        ValueError: it has something that our rules do not use.
    """
    reader = _Reader(text)
    tree = reader.binary(0)
    reader.finish()
    return tree


def words(text: str) -> list[Word]:
    """Return the words of an expression."""
    found: list[Word] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise ValueError(f"cannot read {text[at : at + 30]!r}")
        kind = match.lastgroup
        found.append(Word(match[kind], kind, match.start(kind), match.end(kind)))
        at = match.end()
    return found


class _Reader:
    """Reads words one after the other; the lowest precedence first."""

    def __init__(self, text: str) -> None:
        self._words = words(text)
        self._at = 0

    def finish(self) -> None:
        if self._at < len(self._words):
            raise ValueError(f"expected the end, got {self._words[self._at].text!r}")

    def binary(self, level: int) -> Node:
        if level == len(_PRECEDENCE):
            return self._ranged(self._atom())
        left = self.binary(level + 1)
        while self._next() in _PRECEDENCE[level]:
            operator = self._take()
            clauses = tuple(self._clauses("on", "ignoring", "group_left"))
            right = self.binary(level + 1)
            left = Binary(left.start, right.end, left, operator, clauses, right)
        return left

    def _atom(self) -> Node:
        word = self._take()
        if word.kind == "number":
            return Number(word.start, word.end, word.text)
        if word.text == "(":
            inner = self.binary(0)
            return Brackets(word.start, self._take(")").end, inner)
        if word.kind != "word":
            raise ValueError(f"did not expect {word.text!r}")
        if word.text in AGGREGATIONS:
            (clause,) = self._clauses("by", "without")
            self._take("(")
            inner = self.binary(0)
            return Aggregation(word.start, self._take(")").end, word, clause, inner)
        if self._next() == "(":
            return self._call(word)
        return self._selector(word)

    def _call(self, function: Word) -> Node:
        self._take("(")
        arguments: list[Node] = []
        while self._next() != ")":
            arguments.append(self.binary(0))
            if self._next() == ",":
                self._take()
        return Call(function.start, self._take(")").end, function, tuple(arguments))

    def _selector(self, name: Word) -> Node:
        matchers: list[Matcher] = []
        end = name.end
        if self._next() == "{":
            self._take()
            while self._next() != "}":
                matchers.append(Matcher(self._take(), self._take(), self._take()))
                if self._next() == ",":
                    self._take()
            end = self._take("}").end
        return Selector(name.start, end, name.text, tuple(matchers))

    def _ranged(self, inner: Node) -> Node:
        if self._next() == "[":
            ahead = self._take().start
            durations = [self._take()]
            if self._next() == ":":
                self._take()
                durations.append(self._take())
            inner = Ranged(inner.start, self._take("]").end, inner, ahead, tuple(durations))
        if self._next() == "offset":
            ahead = self._take().start
            duration = self._take()
            inner = Ranged(inner.start, duration.end, inner, ahead, (duration,), is_offset=True)
        return inner

    def _clauses(self, *keywords: str) -> Iterator[Clause]:
        while self._next() in keywords:
            keyword = self._take()
            self._take("(")
            labels: list[Word] = []
            while self._next() != ")":
                labels.append(self._take())
                if self._next() == ",":
                    self._take()
            yield Clause(keyword, tuple(labels), self._take(")").end)

    def _next(self) -> str:
        return self._words[self._at].text if self._at < len(self._words) else ""

    def _take(self, expected: str = "") -> Word:
        if self._at == len(self._words) or (expected and self._next() != expected):
            raise ValueError(f"expected {expected or 'more'}, got {self._next()!r}")
        self._at += 1
        return self._words[self._at - 1]
