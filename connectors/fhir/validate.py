"""Base validation of FHIR R4 resources (H03, H29): structure, required bindings, invariants.

Not on the hot path: for `dragoman check`, for tests, and for a destination under construction. Structure is
judged by ``fhir.resources`` (its R4B models, which for these resources are R4's). That library takes any
code where a binding is required, and knows no invariants, so both are checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from fhir.resources.R4B import get_fhir_model_class
from pydantic import BaseModel, ValidationError

from canonical.findings import Finding, Severity, finding
from connectors.fhir.codes import BINDING, BODY, INVARIANT, STRUCTURE

Node = Mapping[str, Any]


class Rule(msgspec.Struct, frozen=True):
    """One invariant of the specification."""

    key: str
    """As the specification names it: ``app-3``."""
    human: str
    holds: Callable[[Node], bool]
    severity: Severity = Severity.ERROR


def _both_or_none(one: str, other: str) -> Callable[[Node], bool]:
    return lambda node: (one in node) == (other in node)


def _has(*names: str) -> Callable[[Node], bool]:
    return lambda node: any(name in node for name in names)


def _not_before(first: str, second: str) -> Callable[[Node], bool]:
    """per-1, inv-1. Instants of different precision or one without offset cannot be compared: no objection."""
    def holds(node: Node) -> bool:
        try:
            return datetime.fromisoformat(node[first]) <= datetime.fromisoformat(node[second])
        except (KeyError, ValueError, TypeError):
            return True
    return holds


def _cancelation_reason(*statuses: str) -> Callable[[Node], bool]:
    return lambda node: "cancelationReason" not in node or node.get("status") in statuses


_IN_ORDER: Final = Rule("per-1", "if present, start has a lower value than end", _not_before("start", "end"))
_TYPED: Final = Rule("att-1", "an attachment with data has a contentType",
                     lambda node: "data" not in node or "contentType" in node)

#: By resource type, or ``Type.element`` for what a backbone element must obey.
INVARIANTS: Final[Mapping[str, tuple[Rule, ...]]] = {
    "Appointment": (
        Rule("app-2", "either start and end are specified, or neither", _both_or_none("start", "end")),
        Rule("app-3", "only proposed, cancelled or waitlisted appointments can miss start and end",
             lambda node: {"start", "end"} <= node.keys()
             or node.get("status") in {"proposed", "cancelled", "waitlist"}),
        # The expression of R4 compares with 'no-show', which is no AppointmentStatus: by the letter a noshow
        # may not carry a reason. Its text says the contrary, so this is a warning and not an error.
        Rule("app-4", "by its expression a noshow may not have a cancelationReason, by its text it may",
             lambda node: node.get("status") != "noshow" or "cancelationReason" not in node, Severity.WARNING),
        Rule("app-4", "cancelationReason is only used where the appointment was cancelled or a no-show",
             _cancelation_reason("cancelled", "noshow")),
        _IN_ORDER,
    ),
    "Appointment.participant": (
        Rule("app-1", "either type or actor is specified", _has("type", "actor")),
    ),
    "Slot": (_IN_ORDER,),
    "Patient.contact": (
        Rule("pat-1", "contains at least a contact's details or an organization",
             _has("name", "telecom", "address", "organization")),
    ),
    "ServiceRequest": (
        Rule("prr-1", "orderDetail is only present if code is", lambda node: "orderDetail" not in node or "code" in node),
    ),
    "Task": (
        Rule("inv-1", "lastModified is not before authoredOn", _not_before("authoredOn", "lastModified")),
    ),
    "Bundle.entry": (
        Rule("bdl-5", "is a resource unless there is a request or response",
             _has("resource", "request", "response")),
        Rule("bdl-8", "fullUrl is not version specific",
             lambda node: "/_history/" not in node.get("fullUrl", "")),
    ),
}

#: By the names of the elements that have the data type: the wire does not carry type names.
_DATA_TYPE_RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "telecom": (Rule("cpt-2", "a system is required if a value is provided",
                     lambda node: "value" not in node or "system" in node),),
    "period": (_IN_ORDER,),
    "executionPeriod": (_IN_ORDER,),
    "occurrencePeriod": (_IN_ORDER,),
    "attachment": (_TYPED,),
    "valueAttachment": (_TYPED,),
    "photo": (_TYPED,),
    "requestedPeriod": (_IN_ORDER,),
    "extension": (Rule("ext-1", "has either extensions or a value, not both",
                       lambda node: ("extension" in node) != any(key.startswith("value") for key in node)),),
}


def validate(resource: bytes | Node) -> tuple[Finding, ...]:
    """Findings about one resource, or about each resource of a Bundle; none means base-valid.

    Places are JSON pointers. No value of the resource is in any text.
    """
    node: Any = resource
    if isinstance(resource, bytes):
        try:
            node = msgspec.json.decode(resource)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return (finding(BODY, severity=Severity.ERROR),)
    if not isinstance(node, Mapping) or not isinstance(node.get("resourceType"), str):
        return (finding(BODY, at="/resourceType", severity=Severity.ERROR),)
    return tuple(_resource(node, ""))


def _resource(node: Node, at: str) -> Iterator[Finding]:
    kind = node["resourceType"]
    yield from _empty(node, at)
    if kind == "Bundle":
        yield from _invariants(node, "Bundle", at)
        yield from _bundle(node, at)
        for index, entry in enumerate(node.get("entry", ())):
            inner = entry.get("resource")
            if isinstance(inner, Mapping) and "resourceType" in inner:
                yield from _resource(inner, f"{at}/entry/{index}/resource")
        return
    try:
        model = get_fhir_model_class(kind)
    except KeyError:
        yield finding(STRUCTURE, at=f"{at}/resourceType", detail="not a resource type of R4")
        return
    try:
        parsed = model.model_validate(dict(node))
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_context=False, include_url=False):
            place = "".join(f"/{part}" for part in problem["loc"])
            yield finding(STRUCTURE, at=at + place, detail=_PROBLEMS.get(problem["type"], "wrong form"))
    else:
        yield from _bindings(parsed, at)
    yield from _invariants(node, kind, at)
    yield from _contained(node, at)


def _contained(node: Node, at: str) -> Iterator[Finding]:
    """dom-2, dom-3, and that references to what is contained find it (ref-1)."""
    held: dict[str, str] = {}
    for index, inner in enumerate(node.get("contained", ())):
        held[f"#{inner.get('id', '')}"] = here = f"{at}/contained/{index}"
        if "contained" in inner:
            yield finding(INVARIANT, at=here, detail="dom-2: a contained resource contains no other")
    named = set()
    for place, reference in _references(node, at):
        named.add(reference)
        if reference.startswith("#") and reference != "#" and reference not in held:
            yield finding(INVARIANT, at=place, detail="ref-1: a local reference names a contained resource")
    for reference, here in held.items():
        if reference not in named:
            yield finding(INVARIANT, at=here, detail="dom-3: a contained resource is referred to")


#: pydantic's error types; its messages may quote the input, so they are not passed on.
_PROBLEMS: Final[Mapping[str, str]] = {
    "extra_forbidden": "no such element",
    "missing": "element is required",
    "fhir_required_element": "element is required",
    "model_type": "wrong kind of value",
    "list_type": "must be a list",
}


#: Value sets that the library's models cut short (``+``), whole.
_CUT_SHORT: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    ("draft", "requested", "received", "accepted", "+"): (
        "draft", "requested", "received", "accepted", "rejected", "ready", "cancelled", "in-progress", "on-hold", "failed",
        "completed", "entered-in-error"),
    ("planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "+"): (
        "planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "entered-in-error", "unknown"),
}


def _bindings(model: BaseModel, at: str) -> Iterator[Finding]:
    """Codes outside the value set of a required binding, wherever they are."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if value is None:
            continue
        extra = field.json_schema_extra
        listed = extra.get("enum_values") if isinstance(extra, dict) else None
        allowed = _CUT_SHORT.get(tuple(map(str, listed)), tuple(listed)) if isinstance(listed, list) else ()
        place = f"{at}/{field.alias or name}"
        for index, item in enumerate(value) if isinstance(value, list) else [(-1, value)]:
            here = place if index < 0 else f"{place}/{index}"
            if isinstance(item, BaseModel):
                yield from _bindings(item, here)
            elif allowed and item is not None and item not in allowed:
                yield finding(BINDING, at=here, detail=f"allowed: {', '.join(map(str, allowed))}")


def _invariants(node: Node, path: str, at: str) -> Iterator[Finding]:
    yield from _broken(INVARIANTS.get(path, ()), node, at)
    for name, value in node.items():
        if name == "resource" and path == "Bundle.entry":
            continue
        for index, item in enumerate(value) if isinstance(value, list) else [(-1, value)]:
            if isinstance(item, Mapping):
                here = f"{at}/{name}" if index < 0 else f"{at}/{name}/{index}"
                yield from _broken(_DATA_TYPE_RULES.get(name, ()), item, here)
                yield from _invariants(item, f"{path}.{name}", here)


def _broken(rules: tuple[Rule, ...], node: Node, at: str) -> Iterator[Finding]:
    for rule in rules:
        if not rule.holds(node):
            yield finding(INVARIANT, at=at or "/", detail=f"{rule.key}: {rule.human}", severity=rule.severity)


def _empty(node: Any, at: str) -> Iterator[Finding]:
    """ele-1: every element has a value or children; JSON has no empty text, object, list or null for it."""
    if isinstance(node, Mapping):
        children: list[tuple[Any, Any]] = list(node.items())
    elif isinstance(node, list):
        children = list(enumerate(node))
    else:
        return
    for key, value in children:
        here = f"{at}/{key}"
        if value is None and isinstance(node, list):
            continue  # null keeps the place of a primitive whose extension stands in the `_name` twin
        if value is None or value in ("", [], {}):
            yield finding(INVARIANT, at=here, detail="ele-1: an element has a value or children")
        elif not (key == "resource" and at.split("/")[-2:-1] == ["entry"]):
            yield from _empty(value, here)


def _bundle(node: Node, at: str) -> Iterator[Finding]:
    """bdl-3, bdl-7, and that references by urn:uuid point into the bundle (H14)."""
    entries = node.get("entry", ())
    urls = [entry["fullUrl"] for entry in entries if "fullUrl" in entry]
    if len(urls) != len(set(urls)):
        yield finding(INVARIANT, at=f"{at}/entry", detail="bdl-7: fullUrl is unique in a bundle")
    writes = node.get("type") in {"transaction", "batch"}
    for index, entry in enumerate(entries):
        here = f"{at}/entry/{index}"
        if writes and "request" not in entry:
            yield finding(INVARIANT, at=here, detail="bdl-3: an entry of a transaction or batch has a request")
        for place, reference in _references(entry.get("resource", {}), f"{here}/resource"):
            if reference.startswith("urn:") and reference not in urls:
                yield finding(INVARIANT, at=place, detail="the reference names no entry of this bundle")


def _references(node: Any, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name == "reference" and isinstance(value, str):
                yield f"{at}/{name}", value
            else:
                yield from _references(value, f"{at}/{name}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _references(value, f"{at}/{index}")
