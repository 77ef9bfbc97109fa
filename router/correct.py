"""A person's value put where it belongs: the patch that a correction says."""

from __future__ import annotations

from typing import Any

import msgspec

from canonical.entities import AnyEntity
from canonical.findings import Rejection
from canonical.model import CodeableConcept, Entity, HumanName, Reference
from canonical.phi import Value
from mapper import grammar, model
from mapper.document import Mark, Scalar
from mapper.grammar import Step


class Impossible(Exception):  # noqa: N818 - a verdict about the input
    """The field cannot have the value, or there is no such field. The text holds no value."""


def patch(state: AnyEntity, path: str, value: str) -> dict[str, Any]:
    """What changes where the field at `path` gets `value`: fields of the entity in their JSON form.

    Lists are replaced as wholes in a fold, so a changed list is stated whole; a person is merged field by field, so of
    the patient only the changed field is stated.

    Args:
        state: the present state.
        path: as the evidence names it: ``patient.birth_date``, ``identifiers(type=PLAC).value``.
        value: as the canonical model writes it; names as ``Family, Given``.

    Raises:
        Impossible: see there.
    """
    try:
        steps = grammar.steps(Scalar(path, Mark("", 1, 1)))
        tree = msgspec.to_builtins(state)
        _put(tree, type(state), steps, value)
        msgspec.convert(tree, type(state))
    except (Rejection, model.UnknownField):
        raise Impossible(f"there is no field {path}") from None
    except (msgspec.ValidationError, ValueError):
        raise Impossible(f"{path} cannot have such a value") from None
    first = steps[0].name
    if first == "patient" and len(steps) > 1:
        return {first: {"entity": "Patient", steps[1].name: tree[first][steps[1].name]}}
    return {first: tree[first]}


def _put(tree: dict[str, Any], struct: type[Value], steps: list[Step], value: str) -> None:
    step, rest = steps[0], steps[1:]
    field = model.field(struct, step.name)
    if not field.many:
        tree[step.name] = _inner(tree.get(step.name), field, rest, value)
        return
    items = list(tree.get(step.name) or ())
    pairs = dict(grammar.conditions(step.argument or "") or ())
    place = int(step.argument) if step.argument and step.argument.isdecimal() else next(
        (at for at, item in enumerate(items) if isinstance(item, dict) and pairs.items() <= item.items()),
        len(items) if pairs else 0)
    before = items[place] if place < len(items) else (pairs or None)
    made = _inner(before, field, rest, value)
    items[place:place + 1] = [{**pairs, **made} if isinstance(made, dict) else made]
    tree[step.name] = items


def _inner(before: Any, field: model.FieldType, rest: list[Step], value: str) -> Any:
    if not rest:
        return _leaf(before, field, value)
    if field.struct is None:
        raise ValueError("the path goes too far")
    inner = dict(before) if isinstance(before, dict) else {}
    if issubclass(field.struct, Entity):
        inner.setdefault("entity", field.struct.__name__)
    _put(inner, field.struct, rest, value)
    return inner


def _leaf(before: Any, field: model.FieldType, value: str) -> Any:
    match field.kind:
        case model.INTEGER:
            return int(value)
        case model.BOOLEAN:
            if value.lower() not in {"yes", "no"}:
                raise ValueError("yes or no")
            return value.lower() == "yes"
    struct = field.struct
    if struct is None:
        return value
    if struct is HumanName:
        family, _, given = value.partition(",")
        return {"family": family.strip(), "given": given.split()}
    if struct is CodeableConcept:
        codings = before.get("coding") if isinstance(before, dict) else None
        if codings:
            return {"coding": [{"code": value, **({"system": codings[0]["system"]} if "system" in codings[0] else {})}]}
        return {"text": value}
    if struct is Reference:
        return {"display": value}
    return {"value": value}
