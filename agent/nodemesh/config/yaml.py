"""YAML text to plain data with the place of every key and value, with Kubernetes' reading of plain scalars."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec
from yaml import YAMLError as YAMLError
from yaml import dump as yaml_dump
from yaml._yaml import CParser
from yaml.cyaml import CSafeDumper
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.scanner import ScannerError

from . import colons
from .meta import Location, Path
from .scalars import scalar

MAX_BYTES = 64 * 1024 * 1024  # of one file
MAX_DEPTH = 100  # containers inside containers
MAX_EXPANSION = 100_000  # nodes that a document's aliases may add to it

_SEPARATOR = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_DIRECTIVE = re.compile(r"^%.*$", re.MULTILINE)
_SNAKE = re.compile(r"(?<=[a-z0-9])([A-Z])")

Children: TypeAlias = "dict[str, tuple[int, int, YamlNode]] | list[YamlNode] | None"


class Flaw(msgspec.Struct, frozen=True):
    """Something wrong with the text itself, before any meaning: code, sentence, place and field path."""

    code: str
    message: str
    location: Location
    path: Path = ()


class YamlNode:
    """A value of a document: the plain data, its line and column, and its parts (keys with their own places)."""

    __slots__ = ("value", "line", "column", "children", "size", "text")

    def __init__(
        self, value: Any, line: int, column: int, children: Children = None, size: int = 1, text: str | None = None
    ) -> None:
        self.value = value
        self.line = line
        self.column = column
        self.children = children
        self.size = size  # nodes in it, aliases expanded
        self.text = text  # a scalar as it was written

    def child(self, part: str | int) -> tuple[int, int, YamlNode] | None:
        """The place and node of one key or index; a lowerCamelCase name also finds its snake_case spelling."""
        children = self.children
        if isinstance(children, dict):
            name = str(part)
            return children.get(name) or children.get(_SNAKE.sub(r"_\1", name).lower())
        if isinstance(children, list) and isinstance(part, int) and part < len(children):
            node = children[part]
            return node.line, node.column, node
        return None

    def find(self, path: Path) -> tuple[int, int, YamlNode] | None:
        """The place of the key (or list element) that `path` ends in, and the node there."""
        found: tuple[int, int, YamlNode] | None = (self.line, self.column, self)
        for part in path:
            if found is None:
                return None
            found = found[2].child(part)
        return found


class Chunk(msgspec.Struct, frozen=True):
    """The text between two `---` lines: the unit that is parsed, so that one broken document spoils no other."""

    file: str
    first_line: int
    text: str


class Document(msgspec.Struct, frozen=True):
    """One YAML document: its root node, the flaws found in it, and where it came from."""

    chunk: Chunk
    root: YamlNode
    flaws: tuple[Flaw, ...]


class Marks(Mapping[Path, Location]):
    """Field path to the place of its key. Only the text is kept: the tree is made when somebody asks first, since
    most objects of a large mesh are never asked for."""

    __slots__ = ("_chunk", "_prefix", "_root")

    def __init__(self, chunk: Chunk, prefix: Path = ()) -> None:
        self._chunk = chunk
        self._prefix = prefix
        self._root: YamlNode | None = None

    def __getitem__(self, path: Path) -> Location:
        found = self._tree().find(path)
        if found is None:
            raise KeyError(path)
        return Location(self._chunk.file, found[0], found[1])

    def __iter__(self) -> Iterator[Path]:
        return _paths(self._tree(), ())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Marks):
            return NotImplemented
        return (self._chunk, self._prefix) == (other._chunk, other._prefix)

    def __hash__(self) -> int:
        return hash((self._chunk, self._prefix))

    def _tree(self) -> YamlNode:
        if self._root is None:
            found = _tree_of(self._chunk).find(self._prefix)
            assert found is not None  # the same text was read before
            self._root = found[2]
        return self._root


@functools.lru_cache(maxsize=8)
def _tree_of(chunk: Chunk) -> YamlNode:
    """A chunk's tree; remembered, because the items of a `kind: List` share one chunk and are asked for in a row."""
    document = _parse(chunk)
    assert isinstance(document, Document)  # only text that was read has marks
    return document.root


def read(text: bytes | str, file: str) -> Iterator[Document | Flaw]:
    """The documents of a file, in order; a Flaw stands in the place of each that cannot be read at all."""
    if isinstance(text, bytes):
        decoded = _decode(text, file)
        if isinstance(decoded, Flaw):
            yield decoded
            return
        text = decoded
    if len(text) > MAX_BYTES:
        message = f"the file has {len(text)} bytes, more than the {MAX_BYTES} that are read; split it"
        yield Flaw("file-too-large", message, Location(file))
        return
    for chunk in _chunks(text, file):
        found = _parse(chunk)
        if found is not None:
            yield found


def _decode(text: bytes, file: str) -> str | Flaw:
    encoding = "utf-16" if text[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return text.decode(encoding)
    except UnicodeDecodeError as error:
        before = text[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        byte = text[error.start]
        message = f"byte 0x{byte:02x} is not {encoding.removesuffix('-sig').upper()}; save the file as UTF-8"
        return Flaw("not-utf8", message, Location(file, line, column))


def _chunks(text: str, file: str) -> Iterator[Chunk]:
    start, line = 0, 1
    for separator in _SEPARATOR.finditer(text):
        at = separator.start()
        if at > start:
            yield from _chunk(text[start:at], file, line, first=start == 0)
            line += text.count("\n", start, at)
        start = at
    yield from _chunk(text[start:], file, line, first=start == 0)


def _chunk(text: str, file: str, line: int, *, first: bool) -> Iterator[Chunk]:
    if first and text.lstrip().startswith("%"):  # `%YAML 1.2` belongs to the document behind the first `---`
        text = _DIRECTIVE.sub("", text)
    if text and not text.isspace():
        yield Chunk(file, line, text)


def _parse(chunk: Chunk) -> Document | Flaw | None:
    """The chunk's document (libyaml knows no second one without a `---`), None where it is empty."""
    composer = _Composer(chunk)
    try:
        try:
            root = composer.document()
        except ScannerError as error:
            text = colons.replaced(chunk.text, error.problem)
            if not text:
                raise
            composer = _Composer(chunk, text)
            root = composer.document()
    except YAMLError as error:
        return _syntax_flaw(error, chunk)
    except _Refused as refused:
        return refused.flaw
    return Document(chunk, root, tuple(composer.flaws)) if root is not None else None


def _syntax_flaw(error: YAMLError, chunk: Chunk) -> Flaw:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    row, column = (mark.line, mark.column) if mark is not None else (0, 0)
    written = chunk.text.splitlines()[row : row + 1]
    if written and written[0][column : column + 1] == "\t":
        problem += "; indent with spaces, YAML allows no tabs"
    return Flaw("yaml-syntax", f"this is not YAML: {problem}", Location(chunk.file, chunk.first_line + row, column + 1))


class _Refused(Exception):
    """The document cannot be read on: nested too deeply, or expanding without bound."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.message)
        self.flaw = flaw


class _Composer:
    """Builds nodes from libyaml's events, one document after the other."""

    def __init__(self, chunk: Chunk, text: str = "") -> None:
        """`text` is the chunk's with stand-ins for colons, where it has any."""
        self._next: Callable[[], Any] = CParser(text or chunk.text).get_event
        if text:
            self._next = colons.restored(self._next)
        self._file = chunk.file
        self._base = chunk.first_line
        self._anchors: dict[str, YamlNode | None] = {}
        self._expanded = 0
        self.flaws: list[Flaw] = []

    def document(self) -> YamlNode | None:
        """The root of the document, None where there is none or it is empty."""
        root: YamlNode | None = None
        while True:
            event = self._next()
            if event is None or isinstance(event, StreamEndEvent):
                return root
            if isinstance(event, DocumentStartEvent):
                found = self._node(self._next(), (), 0)
                root = found if found.value is not None else None

    def _node(self, event: Any, path: Path, depth: int) -> YamlNode:
        kind = event.__class__
        if kind is ScalarEvent:
            mark = event.start_mark
            value = scalar(event.value, event.tag, plain=not event.style)
            node = YamlNode(value, self._base + mark.line, mark.column + 1, text=event.value)
            if event.anchor is not None:
                self._anchors[event.anchor] = node
            return node
        if kind is AliasEvent:
            return self._alias(event, path)
        if depth >= MAX_DEPTH:
            raise _Refused(self._flaw("yaml-too-deep", f"more than {MAX_DEPTH} levels of nesting", event, path))
        anchor = event.anchor
        if anchor is not None:
            self._anchors[anchor] = None  # unfinished: an alias to it inside itself would never end
        if kind is MappingStartEvent:
            node = self._mapping(event, path, depth + 1)
        else:
            assert kind is SequenceStartEvent
            node = self._sequence(event, path, depth + 1)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _alias(self, event: Any, path: Path) -> YamlNode:
        node = self._anchors.get(event.anchor, None)
        if node is None:
            why = "stands inside itself" if event.anchor in self._anchors else "is not defined above"
            raise _Refused(self._flaw("yaml-alias", f"the anchor &{event.anchor} {why}", event, path))
        self._expanded += node.size
        if self._expanded > MAX_EXPANSION:
            message = f"the aliases of this document expand to more than {MAX_EXPANSION} values"
            raise _Refused(self._flaw("yaml-alias", message, event, path))
        return node

    def _sequence(self, start: Any, path: Path, depth: int) -> YamlNode:
        values: list[Any] = []
        children: list[YamlNode] = []
        size = 1
        while True:
            event = self._next()
            if event.__class__ is SequenceEndEvent:
                mark = start.start_mark
                return YamlNode(values, self._base + mark.line, mark.column + 1, children, size)
            node = self._node(event, (*path, len(values)), depth)
            values.append(node.value)
            children.append(node)
            size += node.size

    def _mapping(self, start: Any, path: Path, depth: int) -> YamlNode:
        values: dict[str, Any] = {}
        children: dict[str, tuple[int, int, YamlNode]] = {}
        merges: list[YamlNode] = []
        size = 1
        base = self._base
        while True:
            event = self._next()
            if event.__class__ is MappingEndEvent:
                break
            key = self._key(event, path)
            node = self._node(self._next(), (*path, key), depth)
            size += node.size
            if key == "<<" and not event.style:
                merges.append(node)
                continue
            mark = event.start_mark
            if key in values:
                first = children[key][0]
                message = f"the key `{key}` stands here a second time (first on line {first}); remove one of the two"
                self.flaws.append(self._flaw("duplicate-key", message, event, (*path, key)))
            values[key] = node.value
            children[key] = (base + mark.line, mark.column + 1, node)
        for node in merges:
            self._merge(node, values, children, path)
        mark = start.start_mark
        return YamlNode(values, base + mark.line, mark.column + 1, children, size)

    def _key(self, event: Any, path: Path) -> str:
        kind = event.__class__
        if kind is AliasEvent:
            value = self._alias(event, path).value
        elif kind is ScalarEvent:
            value = scalar(event.value, event.tag, plain=not event.style)
            if event.anchor is not None:
                self._anchors[event.anchor] = YamlNode(value, self._base + event.start_mark.line, 1)
        else:
            raise _Refused(self._flaw("yaml-key", "a key must be a word, not a list or mapping", event, path))
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            word = "true" if value else "false"
            message = f"YAML reads the key `{event.value}` as the boolean {word}; put it in quotes"
            if event.value != word:
                self.flaws.append(self._flaw("yaml-key", message, event, (*path, word)))
            return word
        return "null" if value is None else str(value)

    def _merge(
        self, node: YamlNode, values: dict[str, Any], children: dict[str, tuple[int, int, YamlNode]], path: Path
    ) -> None:
        """`<<: *anchor` or `<<: [*a, *b]`: their keys, where the mapping has none of its own."""
        sources = node.children if isinstance(node.children, list) else [node]
        for source in sources:
            if not isinstance(source.children, dict):
                location = Location(self._file, node.line, node.column)
                raise _Refused(Flaw("yaml-key", "`<<` takes a mapping or a list of mappings", location, path))
            for key, entry in source.children.items():
                if key not in values:
                    values[key] = entry[2].value
                    children[key] = entry

    def _flaw(self, code: str, message: str, event: Any, path: Path) -> Flaw:
        mark = event.start_mark
        return Flaw(code, message, Location(self._file, self._base + mark.line, mark.column + 1), path)


def _paths(node: YamlNode, path: Path) -> Iterator[Path]:
    if isinstance(node.children, dict):
        for key, (_, _, child) in node.children.items():
            yield (*path, key)
            yield from _paths(child, (*path, key))
    elif isinstance(node.children, list):
        for index, child in enumerate(node.children):
            yield (*path, index)
            yield from _paths(child, (*path, index))


class _Dumper(CSafeDumper):
    """Writes plain data without anchors, lists indented as Kubernetes' tools write them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write(data: Any) -> str:
    """Plain data as one YAML document; keys keep their order."""
    text: str = yaml_dump(data, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return text
