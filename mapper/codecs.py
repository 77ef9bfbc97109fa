"""Leaf codecs: named pairs of functions between one wire type and one kind of model value.

The two types choose the pair (rule 2); `as` names one only where there is a choice. A pair is in the house
only with its law, ``parse(format(value)) == value`` for every value it can express, held by
``tests/mapper/test_codecs.py``; one-way pairs (for ``only: out``) have no `parse`.

Both functions take the `Notes` of the run. They raise `Refused` with a code, never with the value.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote, unquote

import msgspec

from canonical.findings import Severity, declare
from canonical.model import HumanName, Identifier, Place
from mapper import times
from mapper.format import Raw
from mapper.model import BOOLEAN, DATE, ENUM, INSTANT, INTEGER, STRUCT, TEXT, FieldType
from mapper.times import Notes, Refused

NOT_A_NUMBER = declare("number.invalid", Severity.ERROR, "not a whole number",
                       "have the sender correct it, or map the field to text")
NOT_DECIMAL = declare("number.not_decimal", Severity.ERROR, "not a decimal number",
                      "digits with at most one point and a leading minus; no currency, no thousands separators")
NOT_BOOLEAN = declare("code.not_boolean", Severity.ERROR, "neither yes nor no",
                      "HL7 table 0136 is Y and N, JSON has true and false; else give the row a `map`")
NOT_A_CODE = declare("code.unknown", Severity.ERROR, "not a code of the canonical enumeration",
                     "give the row a `map`: a code table of the sender's codes")
NOT_A_REFERENCE = declare("code.not_a_reference", Severity.ERROR, "not a reference by identifier",
                          "the codec reads TYPE?identifier=SYSTEM|VALUE; give the row a plain path for ids")
NO_IDENTIFIER = declare("code.no_identifier", Severity.ERROR, "an identifier without value",
                        "nothing can be addressed by it; see where the identifier is read")

_DECIMAL: Final = re.compile(r"-?(?:\d{1,18}\.?\d{0,18}|\.\d{1,18})\Z", re.ASCII)

Parse = Callable[[Raw, Notes], Any]
Write = Callable[[Any, Notes], Raw]


class Codec(msgspec.Struct, frozen=True):
    """One pair."""

    name: str
    parse: Parse | None
    write: Write | None
    exact: bool = False
    """``write(parse(raw)) == raw`` for every raw: two wire texts are the same fact only if they are equal."""
    whole: bool = False
    """Reads everything at its place, components too."""
    same: Callable[[Any, Any], bool] = lambda a, b: bool(a == b)
    """Whether two model values state the same fact."""


class TextCodec(msgspec.Struct, frozen=True):
    """What a format adapter supplies: text of one wire type (escapes are its business)."""

    parse: Callable[[Raw], str]
    write: Callable[[str], Raw]


# -- numbers and booleans -----------------------------------------------------------------------------------


def _int_of_text(raw: Raw, _notes: Notes) -> int:
    text = raw.strip() if isinstance(raw, str) else ""
    sign = text[:1] in ("+", "-")
    whole, _, part = text[1:].partition(".") if sign else text.partition(".")
    if not whole.isdecimal() or not whole.isascii() or len(whole) > 18 or part.strip("0"):
        raise Refused(NOT_A_NUMBER)
    return -int(whole) if text[0] == "-" else int(whole)


def _text_of_int(value: Any, _notes: Notes) -> str:
    return str(value)


def _int_of_json(raw: Raw, notes: Notes) -> int:
    if isinstance(raw, bool):
        raise Refused(NOT_A_NUMBER)
    if isinstance(raw, int):
        return raw
    if isinstance(raw, float) and raw.is_integer():
        return int(raw)
    return _int_of_text(raw, notes)


def _same(value: Any, _notes: Notes) -> Any:
    return value


def _bool_of_text(raw: Raw, _notes: Notes) -> bool:
    if raw == "Y":
        return True
    if raw == "N":
        return False
    raise Refused(NOT_BOOLEAN)


def _text_of_bool(value: Any, _notes: Notes) -> str:
    return "Y" if value else "N"


def _bool_of_json(raw: Raw, _notes: Notes) -> bool:
    if isinstance(raw, bool):
        return raw
    if raw in ("true", "false"):
        return bool(raw == "true")
    raise Refused(NOT_BOOLEAN)


def _json_text_of_bool(value: Any, _notes: Notes) -> str:
    return "true" if value else "false"


def _decimal_of_text(places: int) -> Parse:
    """X12 type R as canonical decimal text: ``.2`` is 0.2; type N2 has two implied decimals: ``1050`` is 10.50."""
    def parse(raw: Raw, _notes: Notes) -> str:
        text = raw.strip() if isinstance(raw, str) else ""
        if not _DECIMAL.match(text) or (places and "." in text):
            raise Refused(NOT_DECIMAL)
        value = Decimal(text).scaleb(-places)
        return format(value, "f")
    return parse


def _text_of_decimal(places: int) -> Write:
    def write(value: Any, _notes: Notes) -> str:
        if not isinstance(value, str) or not _DECIMAL.match(value):
            raise Refused(NOT_DECIMAL)
        number = Decimal(value)
        if places:
            scaled = number.scaleb(places)
            if scaled != scaled.to_integral_value():
                raise Refused(NOT_DECIMAL)
            return str(int(scaled))
        text = format(number, "f")
        sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
        return sign + (digits[1:] if digits.startswith("0.") else digits)
    return write


def _same_number(one: Any, other: Any) -> bool:
    return bool(Decimal(one) == Decimal(other))


def _decimal(wire_type: str) -> Codec:
    places = int(wire_type[1:]) if wire_type != "R" else 0
    return Codec("decimal", _decimal_of_text(places), _text_of_decimal(places), same=_same_number)


def _percent_of_text(raw: Raw, notes: Notes) -> str:
    text = format(Decimal(_decimal_of_text(0)(raw, notes)) * 100, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _text_of_percent(value: Any, notes: Notes) -> str:
    if not isinstance(value, str) or not _DECIMAL.match(value):
        raise Refused(NOT_DECIMAL)
    return str(_text_of_decimal(0)(format((Decimal(value) / 100).normalize(), "f"), notes))


def _fraction_of_number(raw: Raw, _notes: Notes) -> str:
    """20 as a fraction: ``0.2``."""
    text = str(raw) if not isinstance(raw, bool) else ""
    if not _DECIMAL.match(text):
        raise Refused(NOT_DECIMAL)
    return format((Decimal(text) / 100).normalize(), "f")


def _number_of_fraction(value: Any, _notes: Notes) -> int:
    if not isinstance(value, str) or not _DECIMAL.match(value):
        raise Refused(NOT_DECIMAL)
    number = Decimal(value) * 100
    if number != number.to_integral_value():
        raise Refused(NOT_DECIMAL)
    return int(number)


# -- times --------------------------------------------------------------------------------------------------


def same_instant(one: str, other: str) -> bool:
    """Whether two ISO texts state the same moment, at the precision both have."""
    if one == other:
        return True
    left, right = times.moment_of(one), times.moment_of(other)
    if left is None or right is None:
        shorter, longer = sorted((one, other), key=len)
        return longer.startswith(shorter)
    if 0 in (len(times.split(one)[1][5:]), len(times.split(other)[1][5:])):
        left, right = left.replace(second=0, microsecond=0), right.replace(second=0, microsecond=0)
    return left == right


def _from_ts(*, instant: bool) -> Parse:
    def parse(raw: Raw, notes: Notes) -> str:
        known = notes.known.get(raw)
        return known if known is not None and len(known) > 19 else times.from_ts(raw, notes, instant=instant)
    return parse


def _ts(*, instant: bool) -> Codec:
    return Codec("ts", _from_ts(instant=instant), times.to_ts, whole=True, same=same_instant)


def _dt(*, instant: bool) -> Codec:
    return Codec("dt", _from_ts(instant=instant),
                 lambda value, notes: times.to_ts(value, notes, day_only=True), whole=True, same=same_instant)


def _iso(*, instant: bool, day_only: bool = False) -> Codec:
    return Codec("iso", lambda raw, notes: times.from_iso(raw, notes, instant=instant),
                 lambda value, _notes: times.to_iso(value, day_only=day_only), same=same_instant)


_HL7_TIMES: Final = frozenset({"TS", "DTM"})
_HL7_TEXT: Final = frozenset({"ST", "TX", "FT", "IS", "ID", "NM", "SI", "TM", "GTS", "TN", "varies", "SNM"})
_ISO_TIMES: Final = frozenset({"instant", "dateTime", "string", "any"})
_NUMBERS: Final = frozenset({"integer", "positiveInt", "unsignedInt", "number", "decimal", "any"})


#: X12.6: text, codes, decimals, whole numbers with implied decimals.
_X12_DECIMALS: Final = frozenset({"R", *(f"N{places}" for places in range(10))})
_X12_TEXT: Final = frozenset({"AN", "ID", *_X12_DECIMALS})


def choose(wire_type: str, field: FieldType, text: TextCodec) -> Codec | None:
    """The codec for a wire type and a model field, or None where the two have nothing to do with each other."""
    kind = field.kind
    if kind in (INSTANT, DATE):
        return _time(wire_type, instant=kind == INSTANT)
    if kind == INTEGER:
        if wire_type in _NUMBERS:
            return Codec("number", _int_of_json, _same)
        return (Codec("number", _int_of_text, _text_of_int)
                if wire_type in _HL7_TEXT or wire_type in _X12_TEXT or wire_type == "string" else None)
    if kind == BOOLEAN:
        if wire_type in ("boolean", "any"):
            return Codec("boolean", _bool_of_json, _same)
        if wire_type == "string":
            return Codec("boolean", _bool_of_json, _json_text_of_bool)
        return Codec("yes or no", _bool_of_text, _text_of_bool) if wire_type in ("ID", "IS", "ST", "AN") else None
    if kind == ENUM:
        return _enum(field, text)
    if kind == TEXT and wire_type in _X12_DECIMALS and wire_type != "N0":
        return _decimal(wire_type)
    if kind == TEXT and wire_type in _NUMBERS and wire_type != "any":
        return Codec("number as text", lambda raw, _notes: text.parse(raw), lambda value, _notes: text.write(value))
    return as_text(text) if kind == TEXT else None


def as_text(text: TextCodec) -> Codec:
    """Text to text."""
    parse, write = text.parse, text.write
    return Codec("text", lambda raw, _notes: parse(raw), lambda value, _notes: write(value), exact=True)


def _time(wire_type: str, *, instant: bool) -> Codec | None:
    if wire_type in _HL7_TIMES or wire_type in ("ST", "varies"):
        return _ts(instant=instant)
    if wire_type == "DT":
        return _dt(instant=instant)
    if wire_type in _ISO_TIMES:
        return _iso(instant=instant)
    return _iso(instant=instant, day_only=True) if wire_type == "date" else None


def _enum(field: FieldType, text: TextCodec) -> Codec:
    kind = field.enum
    assert kind is not None
    members: dict[str, StrEnum] = {member.value: member for member in kind}
    parse, write = text.parse, text.write

    def read(raw: Raw, _notes: Notes) -> StrEnum:
        member = members.get(parse(raw))
        if member is None:
            raise Refused(NOT_A_CODE)
        return member

    return Codec("code", read, lambda value, _notes: write(value.value), exact=True)


# -- named codecs -------------------------------------------------------------------------------------------


def urn_of(resource: str, identifier: Identifier) -> str:
    """``urn:uuid:…`` of a resource in a bundle: the same for the same identifier (H28).

    Raises:
        Refused: `NO_IDENTIFIER`.
    """
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, query_of(resource, identifier))}"


def query_of(resource: str, identifier: Identifier) -> str:
    """``Patient?identifier=SYSTEM|VALUE`` (FHIR conditional reference and conditional update).

    Raises:
        Refused: `NO_IDENTIFIER`.
    """
    if not identifier.value:
        raise Refused(NO_IDENTIFIER)
    return f"{resource}?identifier={quote(identifier.system or '', safe=':/.')}|{quote(identifier.value, safe='')}"


def _trace_of(raw: Raw, _notes: Notes) -> str:
    """A trace number for a partner's identifier: 20 hexadecimal digits, the same for the same identifier (D06)."""
    system, value = (raw.get("system", ""), raw.get("value", "")) if isinstance(raw, dict) else ("", "")
    if not value:
        raise Refused(NO_IDENTIFIER)
    return hashlib.blake2b(f"{system}|{value}".encode(), digest_size=10).hexdigest().upper()


def _query(resource: str) -> Codec:
    prefix = f"{resource}?identifier="

    def parse(raw: Raw, _notes: Notes) -> Identifier:
        if not isinstance(raw, str) or not raw.startswith(prefix):
            raise Refused(NOT_A_REFERENCE)
        system, bar, value = raw[len(prefix):].partition("|")
        if not bar:
            system, value = "", system
        return Identifier(value=unquote(value), system=unquote(system)) if system else Identifier(value=unquote(value))

    return Codec("query", parse, lambda value, _notes: query_of(resource, value))


_URI_KINDS: Final = {"ISO": "urn:oid:", "UUID": "urn:uuid:", "GUID": "urn:uuid:", "DNS": "dns:"}


def uri_of(value: str, kind: str) -> str:
    """URI of an HL7 universal id and its kind (table 0301). An unknown kind keeps both: ``v2:KIND:ID``."""
    upper = kind.upper()
    if upper in _URI_KINDS:
        return _URI_KINDS[upper] + value
    if upper in ("URI", "URL"):
        return value
    if not upper and value.replace(".", "").isdecimal() and "." in value:
        return f"urn:oid:{value}"
    return f"v2:{kind}:{value}"


def id_of(uri: str) -> tuple[str, str]:
    """Universal id and kind of a URI: the way back of `uri_of`."""
    if uri.startswith("urn:oid:"):
        return uri[8:], "ISO"
    if uri.startswith("urn:uuid:"):
        return uri[9:], "UUID"
    if uri.startswith("dns:"):
        return uri[4:], "DNS"
    if uri.startswith("v2:") and uri.count(":") >= 2:
        kind, value = uri[3:].split(":", 1)
        return value, kind
    return uri, "URI"


def _hours_of(raw: Raw, _notes: Notes) -> int:
    try:
        minutes = float(raw) * 60
    except (TypeError, ValueError):
        raise Refused(NOT_A_NUMBER) from None
    if isinstance(raw, bool) or abs(minutes - round(minutes)) > 1e-6:
        raise Refused(times.NOT_MINUTES)
    return round(minutes)


def _hours(wire_type: str) -> Codec:
    if wire_type in _NUMBERS:
        return Codec("hours", _hours_of, lambda value, _notes: value / 60 if value % 60 else value // 60)
    return Codec("hours", _hours_of, lambda value, _notes: repr(value / 60) if value % 60 else str(value // 60))


def _joined(value: HumanName | Place) -> str:
    if isinstance(value, Place):
        return " ".join(part for part in (value.facility, value.building, value.floor, value.point_of_care,
                                          value.room, value.bed) if part)
    given = " ".join(part for part in value.given or () if part)
    return " ".join(part for part in (value.prefix, given, value.family, value.suffix) if part)


def _local(value: str, _notes: Notes) -> str:
    day, clock, _ = times.split(value)
    return f"{day}T{clock}" if clock else day


def _active_of_text(raw: Raw, _notes: Notes) -> bool:
    flag = _ACTIVE.get(raw)
    if flag is None:
        raise Refused(NOT_BOOLEAN)
    return flag


#: Table HL70183, and what senders write instead.
_ACTIVE: Final = {"A": True, "I": False, "Y": True, "N": False}

NAMES: Final = ("uri", "phone", "present", "active", "text", "urn", "query", "date", "time", "local", "hours", "joined",
                "percent", "hundredths", "trace")


def named(name: str, argument: str, wire_type: str, field: FieldType, text: TextCodec) -> Codec | None:
    """The codec an ``as:`` cell names; None where it does not fit the field. `uri` and units are the
    compiler's, since they take a second path."""
    kind = field.kind
    if name == "present" and kind == BOOLEAN:
        return Codec("present", lambda _raw, _notes: True, None, whole=True)
    if name == "active" and kind == BOOLEAN:
        return Codec("active", _active_of_text, lambda value, _notes: "A" if value else "I")
    if name == "text" and kind == TEXT:
        return Codec("raw text", _same, _same, exact=True, whole=True)
    if name in ("urn", "query") and kind == STRUCT and field.struct is Identifier and argument:
        return _query(argument) if name == "query" else Codec(
            "urn", None, lambda value, _notes: urn_of(argument, value))
    if name in ("date", "time", "local") and kind in (INSTANT, DATE):
        part = {"date": lambda value, _notes: times.split(value)[0],
                "time": lambda value, _notes: times.split(value)[1], "local": _local}[name]
        return Codec(name, None, part)
    if name == "percent" and kind == TEXT:
        return Codec(name, _percent_of_text, _text_of_percent, same=_same_number)
    if name == "trace" and kind == TEXT and wire_type == "Identifier":
        return Codec(name, _trace_of, None, whole=True)
    if name == "hundredths" and kind == TEXT and wire_type in _NUMBERS:
        return Codec(name, _fraction_of_number, _number_of_fraction, same=_same_number)
    if name == "hours" and kind == INTEGER:
        return _hours(wire_type)
    if name == "joined" and kind == STRUCT and field.struct in (HumanName, Place):
        return Codec(name, None, lambda value, _notes: text.write(_joined(value)))
    return None


# -- durations ----------------------------------------------------------------------------------------------


def minutes_between(start: str, end: str) -> int | None:
    """Minutes from one instant to another, or None where that is not a whole number or not known."""
    left, right = times.moment_of(start), times.moment_of(end)
    if left is None or right is None:
        return None
    minutes, rest = divmod((right - left).total_seconds(), 60)
    return None if rest else int(minutes)


def shifted(start: str, minutes: int) -> str | None:
    """The instant `minutes` after `start`, with its offset and precision; None where it cannot be told."""
    moment = times.moment_of(start)
    if moment is None:
        return None
    try:
        later = moment + timedelta(minutes=minutes)
    except OverflowError:
        return None
    _, clock, offset = times.split(start)
    text = later.replace(tzinfo=None).isoformat(timespec="minutes" if len(clock) == 5 else "auto")
    return f"{text}{offset}"
