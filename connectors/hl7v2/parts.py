"""Text inside a field: repetitions, components, subcomponents, in the standard encoding characters."""

from __future__ import annotations

from typing import Final, TypeAlias

from connectors.hl7v2.dictionary import Dictionary
from connectors.paths import nth, set_nth, with_nth

#: Types the mapper's codecs read whole, degree of precision and all (T05).
TIMES: Final = frozenset({"TS", "DTM", "DT", "TM"})
#: Types without components: what looks like a delimiter there is text that the sender forgot to escape.
WHOLE: Final = TIMES | {"TX", "FT"}

Parts: TypeAlias = list[str]


def kind_of(known: Dictionary, wire_type: str) -> str:
    """``composite`` or ``leaf``."""
    return "composite" if wire_type not in TIMES and known.components(wire_type) else "leaf"


def leaf(raw: str) -> str:
    """The first component of the first repetition: what a plain value is, whatever follows it (P07)."""
    if "~" in raw:
        raw = raw[:raw.index("~")]
    if "^" in raw:
        raw = raw[:raw.index("^")]
    if "&" in raw:
        raw = raw[:raw.index("&")]
    return raw


def part(raw: str, comp: int, sub: int) -> str:
    """Component `comp` of a repetition, its subcomponent `sub` (0: all of it)."""
    found = nth(raw, "^", comp)
    return nth(found, "&", sub) if sub else found


def with_part(raw: str, comp: int, sub: int, value: str) -> str:
    """The repetition with another component, or subcomponent."""
    parts = raw.split("^")
    set_part(parts, comp, sub, value)
    return "^".join(parts)


def set_part(parts: Parts, comp: int, sub: int, value: str) -> None:
    """Put a component, or a subcomponent of one, into components."""
    if sub:
        value = with_nth(parts[comp - 1] if comp <= len(parts) else "", "&", sub, value)
    set_nth(parts, comp, value)


def raise_level(raw: str) -> str:
    """A composite inside a component, its subcomponents as components."""
    return raw.replace("&", "^")


def lower_level(raw: str) -> str:
    """A composite as a component: its components as subcomponents."""
    return raw.replace("&", "").replace("^", "&")


def trimmed(place: str) -> str:
    """A place without what goes without saying: ``PID-3.1.1`` is ``PID-3`` (A ≡ A^, P07)."""
    while place.endswith(".1"):
        place = place[:-2]
    return place
