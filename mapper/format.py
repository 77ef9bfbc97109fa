"""What the mapping language needs to know of a wire format: paths, types, nodes. Nothing else.

A format adapter (``connectors/hl7v2/format.py``, ``connectors/json_format.py``) satisfies these protocols
structurally; the mapper never imports one. An adapter resolves a path once, when a table is compiled; the
functions it hands out then run for every message, so they do no parsing and no look-ups by name.

Vocabulary:

* *node*: a place in a wire value that paths start from (a message, a group, a segment, a JSON object, the
  components of a field). Opaque to the mapper.
* *raw*: what a path yields before a codec reads it: text in HL7, any JSON scalar in JSON, or the raw form of
  a composite, which `Format.open` turns into a node.
* *at*: the concrete place of a raw, for people: ``RESOURCES/SERVICE(2)/AIS-3``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from canonical.paths import Cells, Spot

Node: TypeAlias = Any
Raw: TypeAlias = Any
Wire: TypeAlias = Any


class Path(Protocol):
    """One resolved path."""

    text: str
    """As written."""
    wire_type: str
    """Type of what is there: ``TS``, ``CX``, ``string``, ``Identifier``. Empty for a container."""
    kind: str
    """``leaf`` (a codec reads it), ``composite`` (a type table may read it) or ``container`` (rows under
    ``each`` start from it)."""
    repeats: bool
    """True where the path says ``(*)``."""
    container: bool
    """Rows under ``each`` may start from it."""
    whole: bool
    """Reading it reads everything below, too (HL7 TX, FT and times: stray delimiters are text there)."""
    partial: bool
    """A part of a value: a null there clears that part only (P06)."""
    cells: Cells | None
    """Where the raw (or all of them) lies, if that can be told."""
    spot: Spot | None
    """Where `put` writes, if that can be told."""
    first: Callable[[Node], Raw]
    """The first raw (or node, for a container); `Format.absent` where there is none."""
    every: Callable[[Node], Sequence[Raw]]
    """All of them in order. Positions that hold nothing are left out."""
    put: Callable[[Node, Raw], None]
    """Write into a draft. Parents that do not exist are made."""
    add: Callable[[Node, Raw], None]
    """Append a repetition of the last ``(*)`` to a draft and write into it."""
    child: Callable[[Node], Node]
    """Append an empty repetition of a container to a draft and return it."""

    def located(self, node: Node, at: str) -> list[tuple[Raw, str]]:
        """Like `every`, each with its concrete place; `at` is the place of `node`. Slow: for tracing."""

    def tested(self, node: Node, at: str) -> list[str]:
        """The places of leaves that conditions inside the path look at. For tracing."""

    def inside(self) -> Shape:
        """Where paths under this container or composite are resolved."""


class Shape(Protocol):
    """A place in the dictionary."""

    def path(self, text: str) -> Path:
        """Resolve a path written relative to this place.

        Raises:
            PathError: grammar or dictionary refuse it.
        """


class Format(Protocol):
    """One family of formats: the part of ``format:`` before the slash."""

    @property
    def family(self) -> str:
        """Its name."""

    @property
    def absent(self) -> Raw:
        """What a path yields where nothing is there (compared with ``==``)."""

    @property
    def clear(self) -> Raw:
        """What stands for *remove the value* (compared with ``==``)."""

    @property
    def can_clear(self) -> bool:
        """False where the format has no way to say *remove* but leaving out (FHIR): CLEAR is then not written."""

    def message(self, name: str, declared: Mapping[str, Mapping[str, str]]) -> Shape:
        """The dictionary of one message structure or resource; `declared` is the table's ``segments:`` or
        ``types:`` cell. Raises PathError for an unknown name."""

    def header(self, name: str) -> Mapping[str, Any]:
        """Header cells that a table of this structure has unless it says otherwise (``trigger``, ``version`` …)."""

    def datatype(self, wire_type: str) -> Shape:
        """The dictionary of one data type, for type tables. Raises PathError for an unknown name."""

    def text(self, wire_type: str) -> tuple[Callable[[Raw], str], Callable[[str], Raw]]:
        """How text of a simple type is read and written (escapes). Raises a refusal with a declared code."""

    @property
    def marks(self) -> str:
        """Characters without which a raw text is its own value; of formats with `Cells`."""

    def marked(self, wire_type: str) -> Callable[[str], object] | None:
        """Finds in a text what has to be escaped where it is written at a place of that type; what holds nothing of
        the kind (None) is its own raw. None: every text has to be written by `text`."""

    def number(self, wire_type: str) -> Callable[[int], Raw]:
        """How a whole number is written at a place of that type."""

    def decode(self, raw: bytes) -> Wire:
        """The wire value of a file, for cases beside the tables. Raises Rejection."""

    def open(self, raw: Raw) -> Node:
        """The node of a composite's raw."""

    def new(self, wire_type: str) -> Node:
        """A draft for a composite."""

    def close(self, node: Node) -> Raw:
        """The raw of a drafted composite; `absent` where nothing was put into it."""

    def root(self, wire: Wire, name: str) -> Node:
        """The node table paths start from. Raises canonical.findings.Rejection where there is no message of
        the structure or resource `name`."""

    def draft(self, name: str) -> Node:
        """An empty message of structure `name`."""

    def finish(self, node: Node, name: str, set_ids: Sequence[str]) -> Wire:
        """The wire value of a drafted message; fields named in `set_ids` are numbered by counting."""

    def leaves(self, wire: Wire, name: str) -> list[str]:
        """The place of every leaf that holds something and is not part of the envelope, in order."""
