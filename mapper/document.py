"""YAML as text with positions: the only way tables and configuration are read.

Every scalar is a string exactly as written (rule 9 of the mapping language: ``no``, ``010`` and
``2026-03-10`` stay what they are), every key and value knows its line and column, and what YAML lets pass in
silence is an error: duplicate keys, aliases (the "billion laughs" need them, Z17), tags, several documents.

`parse` gives the tree of `Scalar`, `Sequence` and `Mapping`; `plain` turns it into ordinary data; `to_struct`
into a msgspec struct, with every error located.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias, TypeVar

import msgspec
import msgspec.inspect
import yaml

from canonical.findings import Code, Finding, Rejection, Severity, declare, finding

MAX_BYTES: Final = 2 * 1024 * 1024
MAX_NODES: Final = 100_000
MAX_DEPTH: Final = 40

SYNTAX = declare("document.syntax", Severity.FATAL, "not well-formed YAML",
                 "look at the line before, too: indentation, a missing colon or an unclosed bracket")
ENCODING = declare("document.encoding", Severity.FATAL, "not UTF-8 text", "save the file as UTF-8")
TOO_LARGE = declare("document.too_large", Severity.FATAL, "over the limits for one file",
                    f"split it: at most {MAX_BYTES} bytes, {MAX_NODES} values, {MAX_DEPTH} levels")
ALIAS = declare("document.alias", Severity.FATAL, "anchors, aliases and tags are not allowed",
                "write the value out; start a value with a quote where it begins with & * or !")
DUPLICATE = declare("document.duplicate_key", Severity.FATAL, "the key is there twice", "remove one of the two")
UNKNOWN_KEY = declare("document.unknown_key", Severity.FATAL, "unknown key", "see the list of keys in the reference")
VALUE = declare("document.value", Severity.FATAL, "not a value this key can have", "see the reference of the key")
MISSING = declare("document.missing", Severity.FATAL, "a required key is missing", "add it")


class Mark(msgspec.Struct, frozen=True):
    """A place in a file, counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Scalar(msgspec.Struct, frozen=True):
    """One value as written."""

    text: str
    mark: Mark
    plain: bool = True
    """False where it was quoted: then a position inside it is one column further."""

    def at(self, offset: int) -> Mark:
        """The place of the character `offset` of the text (exact for one-line values)."""
        return Mark(self.mark.file, self.mark.line, self.mark.column + offset + (0 if self.plain else 1))


class Sequence(msgspec.Struct, frozen=True):
    """A list."""

    items: tuple[Node, ...]
    mark: Mark


class Entry(msgspec.Struct, frozen=True):
    """One key of a mapping with its value."""

    key: Scalar
    value: Node


class Mapping(msgspec.Struct, frozen=True):
    """Keys and values, in the order of the file."""

    entries: dict[str, Entry]
    mark: Mark

    def get(self, key: str) -> Node | None:
        """The value of `key`, or None."""
        entry = self.entries.get(key)
        return None if entry is None else entry.value


Node: TypeAlias = Scalar | Sequence | Mapping
T = TypeVar("T")


def fail(code: Code, mark: Mark, detail: str = "", hint: str | None = None) -> Rejection:
    """A rejection with one located finding."""
    return Rejection(located(code, mark, detail, hint))


def located(code: Code, mark: Mark, detail: str = "", hint: str | None = None) -> Finding:
    """A finding at a place in a file."""
    return finding(code, row=str(mark), detail=detail, hint=hint)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint naming the closest known word, or what there is; None where nothing is known."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if not close:
        lower = {name.lower(): name for name in names}
        close = [lower[word.lower()]] if word.lower() in lower else []
    if close:
        return f"did you mean {close[0]}?"
    if not names:
        return None
    shown = ", ".join(names[:20])
    return f"known: {shown}" + (" …" if len(names) > 20 else "")


# -- parsing ------------------------------------------------------------------------------------------------


def parse(source: bytes | str, file: str) -> Node:
    """Parse one YAML document. `file` is the name used in positions.

    Raises:
        canonical.findings.Rejection: with one located finding.
    """
    if isinstance(source, bytes):
        try:
            text = source.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = source.count(b"\n", 0, error.start) + 1
            raise fail(ENCODING, Mark(file, line, 1)) from None
    else:
        text = source
    if len(text) > MAX_BYTES:
        raise fail(TOO_LARGE, Mark(file, 1, 1), "more bytes than a table may have")
    try:
        return _Builder(text, file).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Mark(file, mark.line + 1, mark.column + 1) if mark else Mark(file, 1, 1)
        lines = text.split("\n")[place.line - 1:place.line]
        if lines and lines[0][place.column - 1:place.column] == "\t":
            raise fail(SYNTAX, place, "a tab", "YAML is indented with blanks only") from None
        raise fail(SYNTAX, place, error.problem or "") from None
    except yaml.YAMLError:
        raise fail(SYNTAX, Mark(file, 1, 1), "a character that YAML does not allow") from None


class _Builder:
    def __init__(self, text: str, file: str) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.CBaseLoader)
        self._file = file
        self._count = 0

    def document(self) -> Node:
        node: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.NodeEvent):
                if node is not None:
                    raise fail(SYNTAX, self._mark(event), "a second document in one file")
                node = self._node(event, 1)
        return Mapping({}, Mark(self._file, 1, 1)) if node is None else node

    def _mark(self, event: yaml.Event) -> Mark:
        start = event.start_mark
        return Mark(self._file, start.line + 1, start.column + 1) if start else Mark(self._file, 1, 1)

    def _node(self, event: yaml.Event, depth: int) -> Node:
        mark = self._mark(event)
        self._count += 1
        if self._count > MAX_NODES or depth > MAX_DEPTH:
            raise fail(TOO_LARGE, mark)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise fail(ALIAS, mark)
        if isinstance(event, yaml.ScalarEvent):
            if event.tag not in (None, "!"):
                raise fail(ALIAS, mark)
            return Scalar(event.value, mark, event.style in (None, ""))
        if getattr(event, "tag", None) is not None:
            raise fail(ALIAS, mark)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                items.append(self._node(inner, depth + 1))
            return Sequence(tuple(items), mark)
        entries: dict[str, Entry] = {}
        while not isinstance(inner := next(self._events), yaml.MappingEndEvent):
            key = self._node(inner, depth + 1)
            if not isinstance(key, Scalar):
                raise fail(SYNTAX, key.mark, "a key must be text")
            if key.text in entries:
                first = entries[key.text].key.mark
                raise fail(DUPLICATE, key.mark, f"{key.text} is already on line {first.line}")
            entries[key.text] = Entry(key, self._node(next(self._events), depth + 1))
        return Mapping(entries, mark)


# -- use ----------------------------------------------------------------------------------------------------


def plain(node: Node) -> Any:
    """Strings, lists and dicts."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(entry.value) for key, entry in node.entries.items()}


def mapping(node: Node | None, mark: Mark, what: str) -> Mapping:
    """`node` as a mapping, else a located rejection saying that `what` is a table of keys."""
    if not isinstance(node, Mapping):
        raise fail(VALUE, node.mark if node else mark, f"{what} is a table of keys")
    return node


def scalar(node: Node, what: str) -> Scalar:
    """`node` as one text, else a located rejection."""
    if not isinstance(node, Scalar):
        raise fail(VALUE, node.mark, f"{what} is one value")
    return node


def scalars(node: Node, what: str) -> list[Scalar]:
    """`node` as a list of texts; one text counts as a list of one."""
    if isinstance(node, Scalar):
        return [node]
    if not isinstance(node, Sequence):
        raise fail(VALUE, node.mark, f"{what} is a list")
    return [scalar(item, what) for item in node.items]


def known_keys(node: Mapping, known: Iterable[str], what: str) -> None:
    """Reject unknown keys, each with its place and *did you mean*."""
    names = list(known)
    wrong = [located(UNKNOWN_KEY, entry.key.mark, f"{what} has no key {key}", did_you_mean(key, names))
             for key, entry in node.entries.items() if key not in names]
    if wrong:
        raise Rejection(*wrong)


def boolean(node: Node, what: str) -> bool:
    """``yes`` or ``no`` (also ``true``, ``false``)."""
    word = _BOOLEANS.get(scalar(node, what).text)
    if word is None:
        raise fail(VALUE, node.mark, f"{what} is yes or no")
    return word


_BOOLEANS: Final = {"yes": True, "no": False, "true": True, "false": False}


# -- structs ------------------------------------------------------------------------------------------------


def to_struct(node: Node, kind: type[T]) -> T:
    """Convert a document to a msgspec struct (or any type msgspec knows).

    Numbers and booleans (``yes``/``no``) are read from their text. Unknown keys, missing keys and values of
    the wrong type or outside their `msgspec.Meta` bounds are reported together.

    Raises:
        canonical.findings.Rejection: every problem with file, line, column and hint.
    """
    info = msgspec.inspect.type_info(kind)
    problems: list[Finding] = []
    data = _prepare(node, info, problems)
    if not problems:
        try:
            return msgspec.convert(data, kind, strict=False)
        except msgspec.ValidationError as error:
            problems.append(_locate(node, str(error)))
    raise Rejection(*problems)


def _prepare(node: Node, info: Any, problems: list[Finding]) -> Any:
    kinds = _kinds(info)
    if isinstance(node, Scalar):
        if any(isinstance(kind, msgspec.inspect.BoolType) for kind in kinds) and node.text in _BOOLEANS:
            return _BOOLEANS[node.text]
        return node.text
    if isinstance(node, Sequence):
        item = next((kind.item_type for kind in kinds if hasattr(kind, "item_type")), None)
        return [_prepare(inner, item, problems) for inner in node.items]
    struct = _struct(node, kinds)
    if struct is None:
        value = next((kind.value_type for kind in kinds if isinstance(kind, msgspec.inspect.DictType)), None)
        return {key: _prepare(entry.value, value, problems) for key, entry in node.entries.items()}
    fields = {field.encode_name: field for field in struct.fields}
    data = {}
    for key, entry in node.entries.items():
        if key in fields:
            data[key] = _prepare(entry.value, fields[key].type, problems)
        elif key == struct.tag_field:
            data[key] = plain(entry.value)
        else:
            problems.append(located(UNKNOWN_KEY, entry.key.mark, f"unknown key {key}", did_you_mean(key, fields)))
    problems.extend(located(MISSING, node.mark, f"the key {name} is missing")
                    for name, field in fields.items() if field.required and name not in node.entries)
    return data


def _kinds(info: Any) -> list[Any]:
    if info is None:
        return []
    if isinstance(info, msgspec.inspect.Metadata):
        return _kinds(info.type)
    if isinstance(info, msgspec.inspect.UnionType):
        return [kind for each in info.types for kind in _kinds(each)]
    return [info]


def _struct(node: Mapping, kinds: list[Any]) -> Any:
    structs = [kind for kind in kinds if isinstance(kind, msgspec.inspect.StructType)]
    if len(structs) > 1:
        for struct in structs:
            tag = node.get(struct.tag_field or "")
            if isinstance(tag, Scalar) and tag.text == str(struct.tag):
                return struct
        return None
    return structs[0] if structs else None


def _locate(node: Node, message: str) -> Finding:
    text, _, path = message.partition(" - at `")
    nodes = [node]  # msgspec does not say which key of a table it means: each that the path fits is a candidate
    for name, index in re.findall(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]|\[\.\.\.\]", path.rstrip("`")):
        nodes = [inner for outer in nodes for inner in _steps(outer, name, index)] or nodes
    node = next((one for one in nodes if isinstance(one, Scalar) and f"'{one.text}'" in text), nodes[0])
    wrong = _WRONG_TYPE.fullmatch(text)
    if wrong is not None and wrong[1] in _IN_WORDS:
        return located(VALUE, node.mark, f"expected {_IN_WORDS[wrong[1]]}")
    return located(VALUE, node.mark, text)


def _steps(node: Node, name: str, index: str) -> list[Node]:
    """Where one step of msgspec's path may lead."""
    if isinstance(node, Mapping):
        if name:
            return [node.entries[name].value] if name in node.entries else []
        return [] if index else [entry.value for entry in node.entries.values()]
    if isinstance(node, Sequence) and not name:
        return [node.items[int(index)]] if index and int(index) < len(node.items) else [] if index else list(node.items)
    return []


#: What msgspec says of a scalar that is not what it should be; here every scalar is text, and "got str" misleads.
_WRONG_TYPE: Final = re.compile(r"Expected `(\w+)`, got `str`")
_IN_WORDS: Final = {"int": "a whole number (int)", "float": "a number (float)", "bool": "yes or no (bool)"}
