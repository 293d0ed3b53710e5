"""YAML text to nodes. Only YAML's structure is used: every scalar stays the text that it is."""

import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from spexporter.config.expand import expand
from spexporter.config.nodes import HIDDEN_KEYS, Block, Complaints, Items, Node, Text, under
from spexporter.domain.errors import ConfigError, Problem

MAX_BYTES = 16 * 1024 * 1024
_MAX_REPEATED = 100_000
_NULL_TAG = "tag:yaml.org,2002:null"
_CORE_TAG = re.compile(r"tag:yaml\.org,2002:(str|int|float|bool|null|timestamp|merge|value|map|seq)")

# PyYAML's words repeat parts of the file, which may be parts of a secret; these are ours.
_SYNTAX = {
    "found undefined alias": "there is no anchor of this name; a text that starts with * needs quotes",
    "found duplicate anchor": "this anchor is used above; a text that starts with & needs quotes",
    "found undefined tag handle": "YAML tags have no meaning here; a text that starts with ! needs quotes",
    "mapping values are not allowed": "not valid YAML: quote a text with ': ' in it, or mend the indentation",
    "could not find expected ':'": "not valid YAML: there is no ': ' after a key",
    "found character '\\t'": "not valid YAML: indent with blanks, not with tabs",
    "but found another document": "a second document starts here; the file must hold one",
}


def read_main(text: str, path: Path, environ: Mapping[str, str], complaints: Complaints) -> Block:
    """Return the top level of the main file, as `read` does.

    Raises:
        ConfigError: There is no mapping to look into; it carries one problem.
    """
    match read(text, path, environ, complaints):
        case None:
            raise failed(path, 1, "the file is empty; it needs at least a list `tenants`")
        case Block() as root:
            return root
        case root:
            raise failed(path, root.line, "the top level must be a mapping with `tenants` and `defaults`")


def read_list(text: str, path: Path, key: str, environ: Mapping[str, str], complaints: Complaints) -> Block:
    """Return the list at the top level of a file, as `read` does, under `key`; nothing at all is no entry.

    A mapping is returned as it is, to be looked into for `key`.

    Raises:
        ConfigError: There is neither; it carries one problem.
    """
    match read(text, path, environ, complaints):
        case None:
            return Block({}, str(path), 1, "")
        case Block() as root:
            return root
        case Items() as items:
            return Block({key: items}, str(path), 1, "")
        case root:
            raise failed(path, root.line, f"the top level must be a list of {key}")


def read(text: str, path: Path, environ: Mapping[str, str], complaints: Complaints) -> Node | None:
    """Return the top level of `text`, which is that of the file at `path`, with the variables of `environ` filled in.

    None is a file in which nothing stands. Mistakes inside values go to `complaints`.

    Raises:
        ConfigError: It is no YAML; it carries one problem.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None or _is_empty(root):
            return None
        return _Reader(path, environ, complaints).top(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise failed(path, mark.line + 1 if mark else 1, _syntax(error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise failed(path, line, "not valid YAML: a control character stands here") from None
    except RecursionError:
        raise failed(path, 1, "mappings and lists are nested too deeply, or an alias is part of itself") from None
    except (ValueError, OverflowError):
        raise failed(path, 1, "not valid YAML: an escape or a directive holds a number out of range") from None


def read_bytes(path: Path, *, regular: bool = False) -> bytes:
    """Return what the file at `path` holds, of a huge one only as much as tells that it is.

    One that is to be read again must be `regular`: a pipe would keep its reader waiting.

    Raises:
        ConfigError: It cannot be read; it carries one problem.
    """
    try:
        if regular and not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISDIR(mode):
            raise failed(path, 0, "must be a regular file, because it is read again when it changes")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise failed(path, 0, f"the file cannot be read: {reason}") from None


def decode(content: bytes, path: Path) -> str:
    """Return the text of a file.

    Raises:
        ConfigError: It is too large or is not UTF-8; it carries one problem.
    """
    if len(content) > MAX_BYTES:
        raise failed(path, 0, f"the file is larger than {MAX_BYTES // 1024**2} MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise failed(path, line, "not UTF-8 text; save the file in UTF-8") from None


def failed(path: Path, line: int, message: str) -> ConfigError:
    """Return the error of a file in which there is nothing to look into; line 0 means the file as a whole."""
    return ConfigError((Problem(str(path), line, "", message),))


def _syntax(error: yaml.MarkedYAMLError) -> str:
    said = error.problem or error.context or ""
    for start, ours in _SYNTAX.items():
        if said.startswith(start):
            return ours
    return "not valid YAML: " + re.sub(r"'[^']*'", _harmless, said)


def _harmless(quoted: re.Match[str]) -> str:
    """Keep single characters and the parser's own words, such as '<block end>'."""
    one_character = 3
    return quoted[0] if len(quoted[0]) <= one_character or quoted[0].startswith("'<") else "…"


class _Reader:
    """Turns composed YAML into nodes, within bounds on what aliases may repeat."""

    def __init__(self, path: Path, environ: Mapping[str, str], complaints: Complaints) -> None:
        self._path = path
        self._file = str(path)
        self._environ = environ
        self._complaints = complaints
        self._seen: set[int] = set()
        self._repeated = 0

    def top(self, node: yaml.Node) -> Node:
        """Return the top level, whose tag nobody asks for."""
        match node:
            case yaml.MappingNode():
                return self.block(node, 1, "")
            case yaml.SequenceNode():
                return Items(self._items(node, ""), self._file, node.start_mark.line + 1, "")
            case _:
                # Nothing can use it, so it is not looked into: it may be a secret.
                return Text("", self._file, node.start_mark.line + 1, "", broken=True)

    def block(self, node: yaml.MappingNode, line: int, path: str) -> Block:
        """Return a mapping; keys of its own win over those of `<<`, and the first of two equal keys over the second."""
        lines: dict[str, int] = {}
        entries: dict[str, Node] = {}
        empty: dict[str, Text] = {}
        merged: list[Block] = []
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._complain(key_line, path, "a key must be text, not a mapping or a list")
                continue
            key = key_node.value
            if key in lines:
                self._complain(key_line, under(path, key), f"is given a second time, first on line {lines[key]}")
                continue
            lines[key] = key_line
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged += self._merged(value_node, key_line, path)
            elif _is_empty(value_node):
                empty[key] = Text("", self._file, key_line, under(path, key))
            else:
                entries[key] = self._node(value_node, key_line, under(path, key), hidden=key in HIDDEN_KEYS)
        for other in merged:
            entries = {**other.entries, **entries}
        return Block(entries, self._file, line, path, empty)

    def _merged(self, node: yaml.Node, line: int, path: str) -> Iterator[Block]:
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if isinstance(source, yaml.MappingNode):
                self._count(source)
                yield self.block(source, line, path)
            else:
                self._complain(line, under(path, "<<"), "must be a mapping, or a list of mappings, to merge")

    def _node(self, node: yaml.Node, line: int, path: str, *, hidden: bool) -> Node:
        self._count(node)
        if not _CORE_TAG.fullmatch(node.tag):
            self._complain(line, path, _SYNTAX["found undefined tag handle"])
            return Text("", self._file, line, path, broken=True)
        match node:
            case yaml.MappingNode():
                # What stands under a hidden key is not looked into, so that no path shows it.
                return Block({}, self._file, line, path) if hidden else self.block(node, line, path)
            case yaml.SequenceNode():
                return Items(() if hidden else self._items(node, path), self._file, line, path)
            case _:
                return self._scalar(node.value, line, path, hidden=hidden)

    def _items(self, node: yaml.SequenceNode, path: str) -> tuple[Node, ...]:
        return tuple(
            self._node(item, item.start_mark.line + 1, f"{path}[{index}]", hidden=False)
            for index, item in enumerate(node.value)
        )

    def _scalar(self, text: str, line: int, path: str, *, hidden: bool) -> Text:
        expanded = expand(text, self._environ)
        mistakes = list(expanded.mistakes)
        if any("\ud800" <= character <= "\udfff" for character in expanded.text):
            mistakes.append("is not valid Unicode text")
        for mistake in mistakes:
            self._complain(line, path, mistake)
        hidden = hidden or expanded.from_environment
        return Text(expanded.text, self._file, line, path, hidden=hidden, broken=bool(mistakes))

    def _complain(self, line: int, path: str, message: str) -> None:
        self._complaints.add(Problem(self._file, line, path, message))

    def _count(self, node: yaml.Node) -> None:
        if id(node) in self._seen:
            self._repeated += 1
            if self._repeated > _MAX_REPEATED:
                raise failed(self._path, node.start_mark.line + 1, "aliases repeat this too often; write it out")
        self._seen.add(id(node))


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.value and not node.style and node.tag == _NULL_TAG
