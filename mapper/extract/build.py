"""From canonical paths and values to an entity."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any, Final

import msgspec

from canonical.model import CodeableConcept, Entity, HumanName, Reference
from canonical.phi import Value
from mapper import grammar, model
from mapper.document import Mark, Scalar
from mapper.grammar import Step

SYSTEMS: Final[Mapping[str, str]] = {"icd10": "http://hl7.org/fhir/sid/icd-10-cm",
                                     "cpt": "http://www.ama-assn.org/go/cpt",
                                     "hcpcs": "urn:oid:2.16.840.1.113883.6.285"}


class Put(msgspec.Struct, frozen=True):
    """One value for one place."""

    path: str
    value: str
    kind: str = "text"
    display: str = ""


def entity(struct: type[Value], puts: Iterable[Put]) -> Any:
    """The entity that has these values and nothing else. Paths were checked with the template."""
    tree: dict[str, Any] = {}
    if issubclass(struct, Entity):
        tree["entity"] = struct.__name__
    for put in puts:
        _put(tree, struct, _steps(put.path), put)
    return msgspec.convert(_closed(tree), struct)


@cache
def _steps(path: str) -> tuple[Step, ...]:
    return tuple(grammar.steps(Scalar(path, Mark("", 0, 0))))


def _put(tree: dict[str, Any], struct: type[Value], steps: tuple[Step, ...], put: Put) -> None:
    step, rest = steps[0], steps[1:]
    field = model.field(struct, step.name)
    if not rest:
        value = _leaf(field.struct, put)
        if field.many:
            items = tree.setdefault(step.name, {})
            items[step.argument or "0"] = value
        else:
            tree[step.name] = value
        return
    assert field.struct is not None
    if field.many:
        items = tree.setdefault(step.name, {})
        inner = items.setdefault(step.argument or "0", _fresh(field.struct))
        for name, wanted in grammar.conditions(step.argument or "") or ():
            inner[name] = wanted
    else:
        inner = tree.setdefault(step.name, _fresh(field.struct))
    _put(inner, field.struct, rest, put)


def _fresh(struct: type[Value]) -> dict[str, Any]:
    return {"entity": struct.__name__} if issubclass(struct, Entity) else {}


def _leaf(struct: type[Value] | None, put: Put) -> Any:
    if struct is None:
        return put.value
    if struct is HumanName:
        family, _, given = put.value.partition(", ")
        return {"family": family, "given": given.split()}
    if struct is Reference:
        return {"display": put.value}
    if struct is CodeableConcept:
        if put.kind not in ("icd10", "procedure"):
            return {"text": put.value}
        system = "icd10" if put.kind == "icd10" else "cpt" if put.value[:1].isdigit() else "hcpcs"
        return {"coding": [{"code": put.value, "system": SYSTEMS[system],
                            **({"display": put.display} if put.display else {})}]}
    return {"value": put.value}


def placed(leaf: str, path: str, among: Collection[str]) -> str:
    """Where a leaf stands in the entity of all values, told from the entity that has the one value of `path` only:
    ``telecom(0).value`` of ``telecom(system=fax).value`` is ``telecom(1).value`` beside a telephone.

    Args:
        among: paths of all values, in the order in which they were put.
    """
    alone, there, said = "", "", ""
    for piece, argument in re.findall(r"([^()]+)\(([^()]*)\)", path):
        said += piece
        brackets = dict.fromkeys(other[len(said) + 1:].partition(")")[0] for other in among if other.startswith(f"{said}("))
        alone, there = f"{alone}{piece}(0)", f"{there}{piece}({sorted(brackets, key=_order).index(argument)})"
        said += f"({argument})"
    return there + leaf[len(alone):] if leaf.startswith(alone) else leaf


def _order(bracket: str) -> tuple[bool, int]:
    return not bracket.isdecimal(), int(bracket) if bracket.isdecimal() else 0


def _closed(tree: Any) -> Any:
    """Lists were collected by what stands in their brackets: numbers first, in order, then the selected ones."""
    if not isinstance(tree, dict):
        return tree
    closed = {}
    for name, value in tree.items():
        if isinstance(value, dict) and value and all(_bracket(key) for key in value):
            closed[name] = [_closed(value[key]) for key in sorted(value, key=_order)]
        else:
            closed[name] = _closed(value)
    return closed


def _bracket(key: str) -> bool:
    return key.isdecimal() or "=" in key


