"""Values that may identify a person never print themselves.

Log lines, exception texts, tracebacks with locals and test output all go through ``repr`` or ``str``. So the
two types every patient datum passes through, `Value` (canonical structs) and `Phi` (raw content), answer with
``‹phi›``. To see the inside one has to ask for it by name (`Phi.reveal`, `canonical.schema.to_json`), which
is easy to find in a review.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

import msgspec

T = TypeVar("T")

MASK: Final = "‹phi›"


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True,
            gc=False):  # values are trees: nothing for the cycle collector to find
    """Base of every canonical struct: immutable, compared by value, masked when printed."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({MASK})"

    __str__ = __repr__


class Phi(Generic[T]):
    """A box around raw content (message bytes, an answer's text) that prints as ``‹phi›``."""

    __slots__ = ("_inside",)

    def __init__(self, inside: T) -> None:
        self._inside = inside

    def reveal(self) -> T:
        """The content. Every caller is a place where PHI leaves the box: keep them few."""
        return self._inside

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Phi) and bool(self._inside == other._inside)

    def __hash__(self) -> int:
        return hash(self._inside)
