"""The canonical model as a dictionary: which fields a struct has and what they hold.

Walked once from the type hints of the modules of `canonical.entities`; `check` uses it to refuse unknown
fields, the compiler to choose codecs.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from typing import Any, Final

import msgspec

from canonical.entities import MODULES
from canonical.model import Date, Entity, Instant
from canonical.phi import Value
from mapper.document import did_you_mean

#: Names of the kinds of scalar a field can hold.
TEXT: Final = "text"
INTEGER: Final = "integer"
BOOLEAN: Final = "boolean"
INSTANT: Final = "instant"
DATE: Final = "date"
ENUM: Final = "enum"
STRUCT: Final = "struct"
EXTENSIONS: Final = "extensions"

_SCALARS: Final[dict[Any, str]] = {str: TEXT, int: INTEGER, bool: BOOLEAN, Instant: INSTANT, Date: DATE}


class FieldType(msgspec.Struct, frozen=True):
    """What one field holds."""

    kind: str
    many: bool = False
    """A tuple of them."""
    struct: type[Value] | None = None
    enum: type[StrEnum] | None = None

    @property
    def name(self) -> str:
        """For people and for choosing type tables: ``Identifier``, ``AppointmentStatus``, ``instant``."""
        named = self.struct or self.enum
        return named.__name__ if named else self.kind


class UnknownField(Exception):  # noqa: N818 - says what is wrong
    """The model has no such field."""

    def __init__(self, struct: type[Value], name: str) -> None:
        super().__init__(f"{struct.__name__} has no field {name}")
        self.hint = did_you_mean(name, fields(struct))


@cache
def fields(struct: type[Value]) -> dict[str, FieldType]:
    """Every field of a canonical struct, in the order of the model."""
    hints = typing.get_type_hints(struct)
    return {field.name: _field(hints[field.name]) for field in msgspec.structs.fields(struct)}


def field(struct: type[Value], name: str) -> FieldType:
    """One field. Raises UnknownField."""
    try:
        return fields(struct)[name]
    except KeyError:
        raise UnknownField(struct, name) from None


@cache
def required(struct: type[Value]) -> tuple[str, ...]:
    """Fields a struct cannot be made without."""
    return tuple(field.name for field in msgspec.structs.fields(struct) if field.required)


@cache
def structs() -> dict[str, type[Value]]:
    """Every canonical struct by name."""
    return {name: kind for name, kind in _defined()
            if issubclass(kind, Value) and kind not in (Value, Entity)}


@cache
def enums() -> dict[str, type[StrEnum]]:
    """Every canonical enumeration by name."""
    return {name: kind for name, kind in _defined() if issubclass(kind, StrEnum)}


def _defined() -> Iterator[tuple[str, type]]:
    for module in MODULES:
        for name, kind in vars(module).items():
            if isinstance(kind, type) and kind.__module__ == module.__name__:
                yield name, kind


def _field(hint: Any) -> FieldType:
    if typing.get_origin(hint) is dict:
        return FieldType(EXTENSIONS)
    options = ([each for each in typing.get_args(hint) if each not in (type(None), msgspec.UnsetType)]
               if typing.get_origin(hint) in (typing.Union, types.UnionType) else [hint])
    inner = options[0]
    if typing.get_origin(inner) is tuple:
        return _scalar(typing.get_args(inner)[0], many=True)
    return _scalar(inner, many=False)


def _scalar(kind: Any, *, many: bool) -> FieldType:
    if kind in _SCALARS:
        return FieldType(_SCALARS[kind], many)
    if issubclass(kind, StrEnum):
        return FieldType(ENUM, many, enum=kind)
    if issubclass(kind, Value):
        return FieldType(STRUCT, many, struct=kind)
    raise TypeError(f"the mapper has no kind for {kind}")
