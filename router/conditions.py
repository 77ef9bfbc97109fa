"""Conditions of rules: a tiny closed vocabulary over canonical facts, compiled to closures.

``when: {event: appointment.booked, location.point_of_care: in (ONC, RAD), score.no_show: above 0.7}``

Every line must hold. A fact is a field of the state after the event (dots go down, lists match if any item
does; a coded concept is its codes, an identifier its value) or one of `ABOUT`. A condition is one of

* ``VALUE`` or ``= VALUE``, ``in (A, B)``, ``starts VALUE``
* ``present`` (it has a value), ``absent`` (never stated, or cleared)
* ``above N``, ``below N`` (numbers)

A value that the model rules out (``status: canceled``) is refused: the rule would be silent for ever.

There are no expressions and no *or*: two alternatives are two rules, and each has a name that is recorded.
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final, TypeAlias

import msgspec

from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.model import CodeableConcept, Coding, Entity, Identifier, Reference
from canonical.presence import ABSENT


class Facts(msgspec.Struct, frozen=True):
    """What rules may look at."""

    event: Event
    state: AnyEntity
    scores: Mapping[str, float | str]
    late: bool = False
    """The event is older than what was known: the state did not become what it says."""


Values: TypeAlias = tuple[Any, ...]
Getter: TypeAlias = Callable[[Facts], Values]
Test: TypeAlias = Callable[[Facts], bool]


class BadCondition(Exception):  # noqa: N818 - names what is wrong
    """A fact or a condition that does not exist. `known` lists what would be right; `about_fact` says which
    of the two is wrong."""

    def __init__(self, message: str, known: Iterable[str], *, about_fact: bool) -> None:
        super().__init__(message)
        self.known = tuple(known)
        self.about_fact = about_fact


def _lead_hours(facts: Facts) -> Values:
    start: Any = getattr(facts.state, "start", ABSENT)
    try:
        lead = datetime.fromisoformat(start) - datetime.fromisoformat(facts.event.occurred_at)
    except (TypeError, ValueError):  # no start, a date without time, or no offset: not known
        return ()
    return (lead.total_seconds() / 3600,)


#: Facts about the event itself.
ABOUT: Final[dict[str, Getter]] = {
    "event": lambda f: (f.event.type,),
    "channel": lambda f: (f.event.source.channel,),
    "system": lambda f: (f.event.source.system,),
    "facility": lambda f: (f.event.source.facility,),
    "message_type": lambda f: (f.event.source.message_type,),
    "processing_id": lambda f: (f.event.source.processing_id,),
    "entity": lambda f: (type(f.state).__name__,),
    "late": lambda f: ("yes" if f.late else "no",),
    "lead_hours": _lead_hours,
}
_SCORE: Final = "score."
#: How alike a word and a code are (difflib) for the word to be the code misspelt.
_MISSPELT: Final = 0.85
_WORDS: Final = ("= VALUE", "in (A, B)", "starts VALUE", "present", "absent", "above N", "below N")


def compile_condition(fact: str, condition: str, scorers: Iterable[str] = ()) -> Test:
    """One line of a ``when``.

    Raises:
        BadCondition: no such fact, or not a condition.
    """
    test = _test(_getter(fact, tuple(scorers)), condition.strip())
    _possible(fact, condition.strip())
    return test


def compile_all(tests: Iterable[Test]) -> Test:
    """All of them must hold; none at all always holds."""
    chosen = tuple(tests)
    if len(chosen) == 1:
        return chosen[0]
    return lambda facts: all(test(facts) for test in chosen)


# -- conditions ---------------------------------------------------------------------------------------------


def _test(get: Getter, text: str) -> Test:
    word, _, rest = text.partition(" ")
    rest = rest.strip()
    if text == "present":
        return lambda facts: bool(get(facts))
    if text == "absent":
        return lambda facts: not get(facts)
    if word == "in":
        if not (rest.startswith("(") and rest.endswith(")") and rest[1:-1].strip()):
            raise BadCondition("in needs a list: in (A, B)", _WORDS, about_fact=False)
        wanted = frozenset(item.strip() for item in rest[1:-1].split(","))
        return lambda facts: any(str(value) in wanted for value in get(facts))
    if word == "starts" and rest:
        return lambda facts: any(str(value).startswith(rest) for value in get(facts))
    if word in {"above", "below"}:
        return _number(get, word, rest)
    if not text:
        raise BadCondition("the condition is empty", _WORDS, about_fact=False)
    equal = text[1:].strip() if text[0] == "=" else text
    return lambda facts: any(str(value) == equal for value in get(facts))


def _possible(fact: str, text: str) -> None:
    """Raise for a value that the fact can never have: such a rule would be silent for ever.

    Where the fact is free text for one kind of entity (the status of a location), only what is nearly a code
    is taken for a misspelt one.
    """
    codes, closed = _codes(fact)
    if not codes or text in {"present", "absent"}:
        return
    word, _, rest = text.partition(" ")
    if word in {"above", "below"}:
        if closed:
            raise BadCondition(f"{fact} is no number", _WORDS, about_fact=False)
        return
    if word == "starts" and rest:
        if closed and not any(code.startswith(rest.strip()) for code in codes):
            raise _never(fact, rest.strip(), text, codes)
        return
    listed = rest.strip()[1:-1].split(",") if word == "in" else [text[1:] if text[0] == "=" else text]
    for value in map(str.strip, listed):
        if value not in codes and (closed or difflib.get_close_matches(value, codes, 1, _MISSPELT)):
            raise _never(fact, value, text, codes)


def _never(fact: str, value: str, text: str, codes: Iterable[str]) -> BadCondition:
    return BadCondition(f"{fact} is never {value}", [text.replace(value, code) for code in codes], about_fact=False)


def _codes(fact: str) -> tuple[tuple[str, ...], bool]:
    """The codes that the model has for a fact, and whether it can have no other value."""
    if fact == "entity":
        return tuple(kind.__name__ for kind in typing.get_args(AnyEntity)), True
    if fact == "late":
        return ("yes", "no"), True
    if fact in ABOUT or fact.startswith(_SCORE):
        return (), False
    leaves = {leaf for hint in _check(fact, tuple(fact.split("."))) for leaf in _leaves(hint)}
    enums = [leaf for leaf in leaves if isinstance(leaf, type) and issubclass(leaf, StrEnum)]
    return tuple(sorted(member.value for enum in enums for member in enum)), len(enums) == len(leaves)


def _number(get: Getter, word: str, text: str) -> Test:
    try:
        limit = float(text)
    except ValueError:
        raise BadCondition(f"{word} needs a number", _WORDS, about_fact=False) from None
    numbers = (int, float)
    if word == "above":
        return lambda facts: any(isinstance(v, numbers) and v > limit for v in get(facts))
    return lambda facts: any(isinstance(v, numbers) and v < limit for v in get(facts))


# -- facts --------------------------------------------------------------------------------------------------


def _getter(fact: str, scorers: tuple[str, ...]) -> Getter:
    if fact in ABOUT:
        return ABOUT[fact]
    if fact.startswith(_SCORE):
        name = fact[len(_SCORE):]
        if name not in scorers:
            raise BadCondition(f"there is no scorer {name}", [_SCORE + s for s in scorers], about_fact=True)
        return lambda facts: (facts.scores[name],) if name in facts.scores else ()
    names = tuple(fact.split("."))
    _check(fact, names)
    return lambda facts: tuple(_walk(facts.state, names))


def _walk(value: Any, names: tuple[str, ...]) -> Iterable[Any]:
    for index, name in enumerate(names):
        if isinstance(value, tuple):
            for item in value:
                yield from _walk(item, names[index:])
            return
        value = getattr(value, name, ABSENT)
        if value is ABSENT or value is None:
            return
    yield from _leaf(value)


def _leaf(value: Any) -> Iterable[Any]:
    if value is ABSENT or value is None:
        return
    if isinstance(value, tuple):
        for item in value:
            yield from _leaf(item)
    elif isinstance(value, CodeableConcept):
        yield from _leaf(value.coding)
    elif isinstance(value, Coding):
        yield from _leaf(value.code)
    elif isinstance(value, Reference):
        yield from _leaf(value.identifiers)
    elif isinstance(value, Identifier):
        yield from _leaf(value.value)
    elif isinstance(value, msgspec.Struct):
        yield type(value).__name__
    else:
        yield value


def _check(fact: str, names: tuple[str, ...]) -> list[Any]:
    """The types that the path has where it leads somewhere. Raise unless some entity has it."""
    places: list[type] = list(typing.get_args(AnyEntity))
    hints: list[Any] = []
    for depth, name in enumerate(names):
        fields = {n: t for place in places for n, t in _fields(place).items()}
        if name not in fields:
            prefix = ".".join(names[:depth])
            known = [f"{prefix}.{n}" if prefix else n for n in fields]
            raise BadCondition(f"there is no fact {fact}", [*known, *(ABOUT if not depth else ())],
                               about_fact=True)
        hints = [_fields(place)[name] for place in places if name in _fields(place)]
        places = [kind for hint in hints for kind in _structs(hint)]
    return hints


@cache
def _fields(kind: type) -> Mapping[str, Any]:
    hidden = {"extensions"} if issubclass(kind, Entity) else set()
    return {name: hint for name, hint in typing.get_type_hints(kind).items() if name not in hidden}


def _leaves(hint: Any) -> Iterable[Any]:
    """The types a value can have once it is there: no null, no absence, one item of a list."""
    if typing.get_origin(hint) in {types.UnionType, typing.Union, tuple}:
        for part in typing.get_args(hint):
            yield from _leaves(part)
    elif hint not in {type(None), msgspec.UnsetType, Ellipsis}:
        yield hint


def _structs(hint: Any) -> Iterable[type]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    elif typing.get_origin(hint) in {types.UnionType, typing.Union, tuple}:
        for part in typing.get_args(hint):
            yield from _structs(part)
