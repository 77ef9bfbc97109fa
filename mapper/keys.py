"""Canonical paths as look-ups: subject keys, patient keys, the parts a bundle is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from canonical.findings import Rejection
from canonical.keys import identifier_key
from canonical.model import CodeableConcept, Identifier
from canonical.phi import Value
from mapper import document, grammar, model
from mapper.document import Scalar
from mapper.grammar import Word
from mapper.plan import UNKNOWN_FIELD, Planner

Finder = Callable[[Any], list[Any]]


def finder(planner: Planner, struct: type[Value], word: Word) -> Finder:
    """All values at a canonical path, in order.

    Raises:
        canonical.findings.Rejection: the model has no such path.
    """
    walks: list[Callable[[Any], list[Any]]] = []
    current: type[Value] | None = struct
    for step in grammar.steps(Scalar(word.text, word.mark)):
        if current is None:
            raise document.fail(UNKNOWN_FIELD, word.mark, f"{word.text} goes too far")
        try:
            field = model.field(current, step.name)
        except model.UnknownField as unknown:
            raise document.fail(UNKNOWN_FIELD, word.mark, str(unknown), unknown.hint) from None
        index, select = planner.selector(step.argument or "", field, word.mark)
        walks.append(_walk(step.name, index, select, many=field.many))
        current = field.struct
    steps = tuple(walks)
    if len(steps) == 1:
        return steps[0]

    def find(value: Any) -> list[Any]:
        values = [value]
        for walk in steps:
            values = [found for each in values for found in walk(each)]
            if not values:
                break
        return values

    return find


def _walk(name: str, index: int | None, select: tuple[tuple[str, Any], ...], *, many: bool) -> Finder:
    def one(value: Any) -> list[Any]:
        found = getattr(value, name)
        return [found] if found is not None and found is not UNSET else []

    def items(value: Any) -> list[Any]:
        found = getattr(value, name) or ()
        if index is not None:
            return list(found[index:index + 1])
        return [item for item in found if all(getattr(item, key) == wanted for key, wanted in select)]

    def first_selected(value: Any) -> list[Any]:
        return [item for item in getattr(value, name) or () if getattr(item, key_) == wanted_]

    if many and index is None and len(select) == 1:
        key_, wanted_ = select[0]
        return first_selected
    return items if many else one


def keys(planner: Planner, struct: type[Value], cell: Scalar, kind: str) -> Callable[[Any], str]:
    """A key from a header cell: alternatives with `` | ``, each of parts joined by `` + ``.

    A part that is not there is left out; the first part must be.
    """
    alternatives = []
    for alternative in grammar.parts(cell, "|"):
        words = grammar.parts(Scalar(alternative.text, alternative.mark), "+")
        try:
            alternatives.append([finder(planner, struct, word) for word in words])
        except Rejection as rejection:
            planner.problems.extend(rejection.findings)
    ways = tuple(tuple(each) for each in alternatives)

    def key(value: Any) -> str:
        for way in ways:
            head = next((text for found in way[0](value) if (text := _text(found, kind))), "")
            if head:
                rest = (next((_text(found, "") for found in part(value)), "") for part in way[1:])
                return "|".join([head, *(text for text in rest if text)])
        return ""

    return key


def _text(value: Any, kind: str) -> str:
    if isinstance(value, Identifier):
        key = identifier_key(kind, value)
        return key if kind else key.removeprefix(":")
    if isinstance(value, CodeableConcept):
        value = next((coding.code for coding in value.coding or () if coding.code), "")
    if isinstance(value, Value):
        value = "/".join(str(part) for name in model.fields(type(value)) if (part := getattr(value, name)))
    text = str(value) if value else ""
    return f"{kind}:{text}" if kind and text else text
