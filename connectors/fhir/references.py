"""Resources that point to each other: brought together for reading, taken apart for writing. Pure.

R4 has two ways to send what a resource points to along with it: *contained* in it (references.html#contained), or as
another entry of the same Bundle (bundle.html#references). Tables see neither: to them a reference holds its resource,
under the name that `connectors.json_format.resolved` gives it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from connectors.json_format import Placed, resolved

_HELD: Final = resolved("")[:-1]
#: What a resource is called by those that point to it: read by following them.
_NAMES: Final = frozenset({"id", "resourceType", "fullUrl"})


class Gathering:
    """The resource a table means, and those it comes with.

    Args:
        wire: a resource, or a Bundle.
        name: type of the resource that is meant: in a Bundle the first of that type.
    """

    def __init__(self, wire: Mapping[str, Any], name: str) -> None:
        self.focus: dict[str, Any] | None = None
        self.others: list[Placed] = []
        """Each with its place in `wire`."""
        self.around: dict[str, Any] = {}
        """What the Bundle says itself."""
        self._by_name: dict[str, Placed] = {}
        if wire.get("resourceType") == name:
            self.focus = dict(wire)
            held = [(self.focus, "")]
        else:
            self.around = {key: value for key, value in wire.items() if key not in ("resourceType", "entry", "type")}
            held = self._entries(wire, name)
        copies: list[tuple[dict[str, Any], Mapping[str, Placed]]] = []
        for resource, place in held:
            inner: dict[str, Placed] = {}
            for index, one in enumerate(_objects(resource.pop("contained", None))):
                part = Placed(one, f"{place}contained({index})")
                self.others.append(part)
                inner[f"#{one.get('id', '')}"] = part
                copies.append((part, inner))
            copies.append((resource, inner))
        for copy, named in copies:
            self._link(copy, named)

    def _entries(self, wire: Mapping[str, Any], name: str) -> list[tuple[dict[str, Any], str]]:
        held: list[tuple[dict[str, Any], str]] = []
        for index, entry in enumerate(_objects(wire.get("entry"))):
            resource = entry.get("resource")
            if not isinstance(resource, dict):
                continue
            copy: dict[str, Any]
            if self.focus is None and resource.get("resourceType") == name:
                copy = self.focus = dict(resource)
                held.append((copy, ""))
                continue
            place = f"entry({index}).resource"
            other = Placed(resource, place)
            self.others.append(other)
            held.append((other, f"{place}."))
            url, kind, number = entry.get("fullUrl"), resource.get("resourceType"), resource.get("id")
            if isinstance(url, str):
                self._by_name.setdefault(url, other)
            if isinstance(number, str):
                self._by_name.setdefault(f"{kind}/{number}", other)
        return held

    def _link(self, node: Any, contained: Mapping[str, Placed]) -> None:
        """Copies of everything below a resource, in which references hold what they point to."""
        for name, value in node.items() if isinstance(node, dict) else enumerate(node):
            if isinstance(value, dict):
                node[name] = copy = dict(value)
                self._link(copy, contained)
            elif isinstance(value, list):
                node[name] = parts = list(value)
                self._link(parts, contained)
        target = self._target(node.get("reference"), contained) if isinstance(node, dict) else None
        if target is not None:
            del node["reference"]
            node[resolved(str(target.get("resourceType", "")))] = target

    def _target(self, reference: Any, contained: Mapping[str, Placed]) -> Placed | None:
        if not isinstance(reference, str):
            return None
        plain = reference.partition("/_history/")[0]
        found = contained.get(plain) or self._by_name.get(plain)
        # An entry may be named by its whole address or by type and id alone (bundle.html#references).
        return found or self._by_name.get("/".join(plain.split("/")[-2:]))

    def leaves(self) -> Iterator[str]:
        """The place of everything that a table may read; what a resource is called is told by following references."""
        for resource, at in ((self.focus or {}, ""), *((one, one.place) for one in self.others)):
            for name, value in resource.items():
                if name not in _NAMES:
                    yield from _leaves(value, f"{at}.{name}" if at else name)
        for name, value in self.around.items():
            yield from _leaves(value, f"Bundle.{name}")


def unfolded(response: dict[str, Any]) -> dict[str, Any]:
    """A CoverageEligibilityResponse in which every item has one benefit, and every benefit one amount: an item with
    several says the same as several items, and a benefit of ours is one item. What is used up counts year to date."""
    out = {**response, "insurance": [{**insurance} for insurance in _objects(response.get("insurance"))]}
    for number, insurance in enumerate(out["insurance"]):
        items: list[Any] = []
        for index, item in enumerate(_objects(insurance.get("item"))):
            place = f"insurance({number}).item({index})"
            for at, benefit in enumerate(_objects(item.get("benefit"))):
                for part in _amounts(benefit):
                    used = {"term": _TO_DATE} if any(name.startswith("used") for name in part) else {}
                    items.append(Placed({**item, **used, "benefit": [Placed(part, f"{place}.benefit({at})")]}, place))
            if not item.get("benefit"):
                items.append(Placed(item, place))
        if items:
            insurance["item"] = items
    return out if out["insurance"] else response


#: EB06, year to date.
_TO_DATE: Final = {"coding": [{"system": "https://codesystem.x12.org/005010/615", "code": "24"}]}


def _amounts(benefit: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A benefit that tells both what is allowed and what is used, as two."""
    told = [kind for kind in ("allowed", "used") if any(name.startswith(kind) for name in benefit)]
    if len(told) < 2:
        yield benefit
        return
    for other in told:
        yield {name: value for name, value in benefit.items() if not name.startswith(other)}


def itemised(response: dict[str, Any]) -> dict[str, Any]:
    """A drafted CoverageEligibilityResponse with one category an item: a benefit for several service types is as many
    items, for the codings of one concept all mean the same."""
    for insurance in response.get("insurance", ()):
        if "item" in insurance:
            insurance["item"] = [
                {**item, "category": {"coding": [coding]}} if coding is not None else item
                for item in insurance["item"] for coding in item.get("category", {}).get("coding") or (None,)]
    return response


def hoisted(draft: dict[str, Any]) -> dict[str, Any]:
    """A drafted resource whose references hold resources, with these contained in it instead.

    A contained resource is called by the element that points to it (``#patient``), and by a number behind it where
    there are several.
    """
    contained: dict[str, dict[str, Any]] = {}
    _hoist(draft, "", contained)
    if contained:
        draft["contained"] = list(contained.values())
    return draft


def _hoist(node: Any, name: str, contained: dict[str, dict[str, Any]]) -> None:
    if isinstance(node, list):
        for part in node:
            _hoist(part, name, contained)
    if not isinstance(node, dict):
        return
    for key in list(node):
        if not key.startswith(_HELD):
            _hoist(node[key], key, contained)
            continue
        body = node.pop(key)
        _hoist(body, name, contained)
        kind, number = key[len(_HELD):-1], name
        made = {"resourceType": kind, **body}
        count = 1
        while number in contained and {**contained[number], "id": ""} != {**made, "id": ""}:
            count += 1
            number = f"{name}-{count}"
        contained[number] = {"resourceType": kind, "id": number, **body}
        node["reference"] = f"#{number}"


def spread(bundle: dict[str, Any]) -> dict[str, Any]:
    """A Bundle of type *collection*: what its resources contain stands beside them, each under a name made of its
    content, so that the same event gives the same bytes."""
    entries: dict[str, dict[str, Any]] = {}
    for entry in bundle["entry"]:
        resource = entry["resource"]
        inner = [{**one} for one in resource.pop("contained", ())]
        names: dict[str, str] = {}
        for one in inner:
            number = one.pop("id")
            names[f"#{number}"] = _urn({**one, "id": number})
        own = entry.get("fullUrl") or _urn(resource)
        for one, url in ((resource, own), *zip(inner, names.values(), strict=True)):
            _rename(one, names)
            entries.setdefault(url, {"fullUrl": url, "resource": one})
    return {**bundle, "entry": list(entries.values())}


def _rename(node: Any, names: Mapping[str, str]) -> None:
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _rename(value, names)
    if isinstance(node, dict) and isinstance(node.get("reference"), str):
        node["reference"] = names.get(node["reference"], node["reference"])


def _urn(resource: Mapping[str, Any]) -> str:
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, msgspec.json.encode(resource, order='deterministic').decode())}"


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _leaves(value: Any, at: str) -> Iterator[str]:
    """Leaves below a place; not those of another resource that a reference holds."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if not name.startswith(_HELD):
                yield from _leaves(inner, f"{at}.{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{at}({index})")
    else:
        yield at


#: What PAS has every item of a request say again, and a table says of the request as a whole.
_COMMON: Final = tuple(f"http://hl7.org/fhir/us/davinci-pas/StructureDefinition/extension-{name}" for name in (
    "serviceItemRequestType", "certificationType", "authorizationNumber", "administrationReferenceNumber"))


def shared(claim: dict[str, Any]) -> dict[str, Any]:
    """A drafted Claim or ClaimResponse whose items all say what the first says of the whole."""
    items = _objects(claim.get("item"))
    common = [one for one in _objects(items[0].get("extension") if items else None) if one.get("url") in _COMMON]
    for item in items[1:]:
        own = item.setdefault("extension", []) if common else []
        own += [one for one in common if all(one["url"] != other.get("url") for other in own)]
    return claim


def numbered(draft: dict[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """Elements of lists numbered from 1 where they have no number: ``item.sequence``."""
    for path in paths:
        name, _, number = path.partition(".")
        for place, element in enumerate(_objects(draft.get(name)), 1):
            element.setdefault(number, place)
    return draft
