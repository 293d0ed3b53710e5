"""What stands in a file, before anybody asks what it means: text, mappings and lists that know their place."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spexporter.domain.errors import Problem
from spexporter.domain.values import replace

# No message repeats what stands under these keys: secrets, what may carry one, and what is mistaken for one.
HIDDEN_KEYS = frozenset({"client_id", "client_secret", "client_secret_file", "base_url", "token_url", "proxy", "url"})

_SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar of `file`, never interpreted.

    `line` is that of its key, or its own in a list; `path` such as `tenants[0].name`.

    A `hidden` text is never repeated to anybody; a `broken` one was complained of while it was read.
    """

    text: str = field(repr=False)
    file: str
    line: int
    path: str
    hidden: bool = False
    broken: bool = False

    @property
    def shown(self) -> str:
        """The text in quotes, cut where it is long; empty where it must not be shown."""
        if self.hidden:
            return ""
        cut = self.text if len(self.text) <= _SHOWN_CHARACTERS else f"{self.text[:_SHOWN_CHARACTERS]}…"
        return repr(cut)


@dataclass(frozen=True, slots=True)
class Block:
    """A mapping; keys with nothing after them are in `empty` alone."""

    entries: Mapping[str, "Node"]
    file: str
    line: int
    path: str
    empty: Mapping[str, Text] = field(default_factory=dict)

    def text(self, key: str) -> str | None:
        """The text under `key`, None where there is none."""
        node = self.entries.get(key)
        return node.text if isinstance(node, Text) else None

    def own(self, key: str) -> "Node | None":
        """What this mapping itself says under `key`, None where it says nothing or has inherited it."""
        node = self.entries.get(key)
        return node if node and node.path == under(self.path, key) else None


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    nodes: tuple["Node", ...]
    file: str
    line: int
    path: str


Node = Text | Block | Items
Plain = str | dict[str, "Plain"] | list["Plain"] | None


def plain(node: Node) -> Plain:
    """Return the node as text, dicts and lists, with None for what is empty."""
    match node:
        case Text():
            return node.text
        case Block():
            return dict.fromkeys(node.empty) | {key: plain(value) for key, value in node.entries.items()}
        case Items():
            return [plain(item) for item in node.nodes]


def at(node: Node, steps: Iterable[str | int]) -> Node:
    """Follow keys and indices as far as there are nodes, and return the last one."""
    for step in steps:
        match node, step:
            case Block(), str() if step in node.entries:
                node = node.entries[step]
            case Block(), str() if step in node.empty:
                node = node.empty[step]
            case Items(), int() if step < len(node.nodes):
                node = node.nodes[step]
            case _:
                break
    return node


def under(path: str, key: str) -> str:
    """Return the path of `key` in the mapping at `path`; odd keys stand in quotes."""
    step = key if re.fullmatch(r"[A-Za-z0-9_<-]{1,80}", key) else repr(key[:_SHOWN_CHARACTERS])
    return f"{path}.{step}" if path else step


def blocks(parent: Block, key: str) -> list[Block]:
    """Return the mappings in the list under `key`; may be empty."""
    items = parent.entries.get(key)
    return [node for node in items.nodes if isinstance(node, Block)] if isinstance(items, Items) else []


def texts(parent: Block, key: str) -> list[Text]:
    """Return the scalars in the list under `key`; may be empty."""
    items = parent.entries.get(key)
    return [node for node in items.nodes if isinstance(node, Text)] if isinstance(items, Items) else []


def inherit(block: Block, defaults: Block) -> Block:
    """Return `block` with what it does not say itself taken from `defaults`, key by key and in nested mappings too."""
    entries = dict(block.entries)
    for key, value in defaults.entries.items():
        own = entries.get(key)
        if own is None:
            entries[key] = value
        elif isinstance(own, Block) and isinstance(value, Block):
            entries[key] = inherit(own, value)
    return replace(block, entries=entries)


class Complaints:
    """Collects the problems of all files; each is kept once."""

    def __init__(self) -> None:
        self._problems: dict[Problem, None] = {}

    def about(self, node: Node, message: str, *, key: str | None = None, show: bool = False) -> None:
        """Note what is wrong with `node`, or with what is missing under its `key`; `show` adds what was given."""
        if isinstance(node, Text) and node.broken:
            return
        if show and isinstance(node, Text) and node.shown:
            message = f"{message}, got {node.shown}"
        self.add(Problem(node.file, node.line, under(node.path, key) if key else node.path, message))

    def about_key(self, block: Block, key: str, message: str) -> None:
        """Note what is wrong with what stands under `key`, or with the block that inherits it."""
        own = block.own(key)
        self.about(own or block, message, key=None if own else key)

    def add(self, *problems: Problem) -> None:
        """Note problems as they are."""
        self._problems |= dict.fromkeys(problems)

    def of(self, file: Path) -> tuple[Problem, ...]:
        """All problems of one file by line; those of one line as they were noted."""
        return tuple(sorted((it for it in self._problems if it.file == str(file)), key=lambda problem: problem.line))
