"""A FHIR R4 scheduling server: CRUD, conditional writes, versions, transactions, search by identifier.

Repeating a write with the same content has no second effect. Faults: `simulators.http`; the argument of a
status other than 429 and 503 is the issue code of the OperationOutcome: ``409:lock-error once``, ``412 at 3``,
``422:invariant every 10``.

A small server, so that the demo runs without any other program; the tests use a real one beside it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec
from multidict import CIMultiDict

from simulators.faults import Plan
from simulators.http import HttpPartner, Reply

Resource = dict[str, Any]

_ISSUES: Final = {400: "invalid", 401: "login", 403: "forbidden", 404: "not-found", 405: "not-supported",
                  409: "conflict", 412: "conflict", 422: "processing", 429: "throttled"}
TYPES: Final = frozenset({"Appointment", "AppointmentResponse", "Patient", "Practitioner", "PractitionerRole",
                          "Location", "Slot", "Schedule", "Device", "HealthcareService", "Encounter",
                          "ServiceRequest", "DocumentReference", "Coverage", "Organization", "Provenance", "Flag", "Task",
                          "CoverageEligibilityRequest", "CoverageEligibilityResponse", "ClaimResponse"})


class _Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    def __init__(self, status: int, issue: str = "") -> None:
        self.status, self.issue = status, issue


class FhirServer(HttpPartner):
    """``async with FhirServer() as fhir``: then ``fhir.url``, ``fhir.sink``, ``fhir.resources("Appointment")``.

    Args:
        port: 0 takes a free one.
        plan: Faults.
        keep: False: count arrivals, do not keep them.
        token: A bearer token that is asked for.
        check: Says what is wrong with a resource (an issue code) or nothing; `connectors.fhir.validate` fits
            behind it in tests.
    """

    content_type = "application/fhir+json"
    base_path = "/fhir"

    def __init__(self, port: int = 0, *, plan: Plan | None = None, keep: bool = True, token: str = "",
                 check: Callable[[Resource], str] = lambda _: "") -> None:
        super().__init__(port, plan=plan, keep=keep, token=token)
        self._check = check
        self._store: dict[tuple[str, str], Resource] = {}
        self._index: dict[tuple[str, str, str], list[str]] = {}
        self._next = 0
        self._undo: list[Callable[[], None]] | None = None
        self._writes: list[tuple[str, bool]] = []

    # -- what tests look at ---------------------------------------------------------------------------------

    def resources(self, kind: str) -> list[Resource]:
        """All resources of a type, in order of creation."""
        return [resource for (name, _), resource in self._store.items() if name == kind]

    def find(self, kind: str, system: str | None, value: str) -> list[Resource]:
        """Resources of a type with this identifier: in a system, in none (empty), or in any at all (None)."""
        ids = self._index.get((kind, system, value), []) if system is not None else \
            dict.fromkeys(one for (k, _, v), many in self._index.items() if (k, v) == (kind, value) for one in many)
        return [self._store[kind, one] for one in ids]

    # -- HTTP -----------------------------------------------------------------------------------------------

    def handle(self, method: str, path: str, headers: CIMultiDict[str], body: bytes) -> Reply:
        """One interaction of the REST API."""
        self._writes.clear()
        try:
            if not path.strip("/") and method == "POST":
                reply = self._bundle(_decode(body))
            else:
                reply = self._interaction(method, path.lstrip("/"), _decode(body) if body else {},
                                          none_exist=headers.get("If-None-Exist", ""),
                                          match=headers.get("If-Match", ""))
        except _Refused as refusal:
            return self.error(refusal.status, refusal.issue)
        if self._writes:
            keys = [key for key, _ in self._writes]
            key = next((one for one in keys if one.startswith("Appointment")), keys[0])
            self.sink.record(headers.get("X-Request-Id", ""), key, body,
                             effect=any(changed for _, changed in self._writes))
        return reply

    def error(self, status: int, detail: str) -> Reply:
        """An OperationOutcome."""
        issue = detail or _ISSUES.get(status, "exception")
        return Reply(status, msgspec.json.encode({
            "resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": issue}]}))

    def _interaction(self, method: str, path: str, resource: Resource, *, none_exist: str = "",
                     match: str = "") -> Reply:
        url = urlsplit(path)
        kind, _, number = url.path.partition("/")
        if kind == "metadata" and method == "GET":
            return Reply(200, msgspec.json.encode(_CAPABILITIES))
        if kind not in TYPES:
            raise _Refused(404, "not-supported")
        if method == "GET":
            return self._read(kind, number) if number else self._search(kind, url.query)
        if method == "POST" and not number:
            return self._create(kind, resource, none_exist)
        if method == "PUT":
            return self._update(kind, number, url.query, resource, match)
        if method == "DELETE" and number:
            self._put(kind, number, None)
            return Reply(204)
        raise _Refused(405)

    def _read(self, kind: str, number: str) -> Reply:
        resource = self._store.get((kind, number))
        if resource is None:
            raise _Refused(404)
        return _reply(200, resource)

    def _search(self, kind: str, query: str) -> Reply:
        matches = self._matches(kind, query) if query else self.resources(kind)
        return Reply(200, msgspec.json.encode({
            "resourceType": "Bundle", "type": "searchset", "total": len(matches),
            "entry": [{"fullUrl": f"{self.url}/{kind}/{m['id']}", "resource": m, "search": {"mode": "match"}}
                      for m in matches]}))

    def _create(self, kind: str, resource: Resource, none_exist: str) -> Reply:
        self._acceptable(kind, resource)
        if none_exist:  # H10
            matches = self._matches(kind, none_exist)
            if len(matches) > 1:
                raise _Refused(412, "multiple-matches")
            if matches:
                self._writes.append((_key(resource), False))
                return _reply(200, matches[0])
        self._next += 1
        return self._write(kind, str(self._next), resource, 201)

    def _update(self, kind: str, number: str, query: str, resource: Resource, match: str) -> Reply:
        self._acceptable(kind, resource)
        if not number:  # H11
            matches = self._matches(kind, query)
            if len(matches) > 1:
                raise _Refused(412, "multiple-matches")
            if not matches:
                if match:
                    raise _Refused(412)
                return self._create(kind, resource, "")
            number = matches[0]["id"]
            if resource.get("id", number) != number:
                raise _Refused(400)
        elif resource.get("id") != number:
            raise _Refused(400)
        held = self._store.get((kind, number))
        if match and (held is None or match not in {_etag(held), "*"}):  # H12
            raise _Refused(412)
        return self._write(kind, number, resource, 200 if held else 201)

    def _acceptable(self, kind: str, resource: Resource) -> None:
        if resource.get("resourceType") != kind:
            raise _Refused(400, "structure")
        if issue := self._check(resource):
            raise _Refused(422, issue)

    def _write(self, kind: str, number: str, resource: Resource, status: int) -> Reply:
        held = self._store.get((kind, number))
        version = 1 if held is None else int(held["meta"]["versionId"]) + 1
        new = {**resource, "id": number, "meta": {**resource.get("meta", {}), "versionId": str(version)}}
        changed = held is None or {**held, "meta": None} != {**new, "meta": None}
        if changed:
            self._put(kind, number, new)
        self._writes.append((_key(resource), changed))
        return _reply(status, self._store[kind, number], location=status == 201)

    # -- storage --------------------------------------------------------------------------------------------

    def _put(self, kind: str, number: str, resource: Resource | None) -> None:
        before = self._store.get((kind, number))
        for system, value in _identifiers(before):
            self._index[kind, system, value].remove(number)
        for system, value in _identifiers(resource):
            self._index.setdefault((kind, system, value), []).append(number)
        if resource is None:
            self._store.pop((kind, number), None)
        else:
            self._store[kind, number] = resource
        if self._undo is not None:
            self._undo.append(lambda: self._put(kind, number, before))

    def _matches(self, kind: str, query: str) -> list[Resource]:
        wanted = dict(parse_qsl(query.removeprefix("?")))
        if set(wanted) - {"_count", "_summary"} != {"identifier"}:
            raise _Refused(400, "not-supported")
        system, bar, value = wanted["identifier"].rpartition("|")
        return self.find(kind, system if bar else None, value)

    # -- transactions ---------------------------------------------------------------------------------------

    def _bundle(self, bundle: Resource) -> Reply:
        """A transaction: all or nothing, references by urn:uuid and by condition resolved (H14)."""
        if bundle.get("resourceType") != "Bundle" or bundle.get("type") not in {"transaction", "batch"}:
            raise _Refused(400, "structure")
        entries = copy.deepcopy(bundle.get("entry", []))
        if bundle["type"] == "batch":
            answers = [self._entry(entry) for entry in entries]
            return _bundle_reply("batch-response", answers)
        self._undo = []
        try:
            return _bundle_reply("transaction-response", self._transaction(entries))
        except _Refused:
            undo, self._undo = self._undo, None
            for step in reversed(undo or []):
                step()
            raise
        finally:
            self._undo = None

    def _entry(self, entry: Resource) -> Reply:
        try:
            return self._request(entry)
        except _Refused as refusal:
            return self.error(refusal.status, refusal.issue)

    def _transaction(self, entries: list[Resource]) -> list[Reply]:
        """Creates come before updates; a reference to an entry whose turn is later is resolved by its id."""
        ids = {entry["fullUrl"]: target for entry in entries
               if "fullUrl" in entry and (target := self._known(entry))}
        replies: dict[int, Reply] = {}
        order = sorted(range(len(entries)),
                       key=lambda n: ("DELETE", "POST", "PUT", "GET").index(entries[n]["request"]["method"]))
        waiting = [n for n in order if entries[n]["request"]["method"] in {"POST", "PUT"}]
        for number in _by_dependency(waiting, entries, ids):
            entry = entries[number]
            self._resolve(entry.get("resource"), ids)
            reply = replies[number] = self._request(entry)
            written = msgspec.json.decode(reply.body)
            ids[entry.get("fullUrl", "")] = f"{written['resourceType']}/{written['id']}"
        for number in order:
            if number not in replies:
                replies[number] = self._request(entries[number])
        return [replies[number] for number in range(len(entries))]

    def _request(self, entry: Resource) -> Reply:
        request = entry["request"]
        return self._interaction(request["method"], request["url"], entry.get("resource", {}),
                                 none_exist=request.get("ifNoneExist", ""), match=request.get("ifMatch", ""))

    def _known(self, entry: Resource) -> str:
        """The id an entry will have, where that is known before it is written."""
        request = entry["request"]
        kind, _, number = urlsplit(request["url"]).path.partition("/")
        if request["method"] == "PUT" and number:
            return f"{kind}/{number}"
        return ""

    def _resolve(self, node: Any, ids: dict[str, str]) -> None:
        if isinstance(node, list):
            for item in node:
                self._resolve(item, ids)
        elif isinstance(node, dict):
            reference = node.get("reference")
            if isinstance(reference, str):
                node["reference"] = self._target(reference, ids)
            for item in node.values():
                self._resolve(item, ids)

    def _target(self, reference: str, ids: dict[str, str]) -> str:
        if reference.startswith("urn:"):
            if reference not in ids:
                raise _Refused(400, "not-found")
            return ids[reference]
        if "?" in reference:  # a conditional reference
            kind, _, query = reference.partition("?")
            matches = self._matches(kind, query)
            if len(matches) != 1:
                raise _Refused(412, "multiple-matches" if matches else "not-found")
            return f"{kind}/{matches[0]['id']}"
        return reference


def _by_dependency(waiting: list[int], entries: list[Resource], known: dict[str, str]) -> list[int]:
    """The entries in such an order that what is referred to comes first; cycles keep their given order."""
    own = {entries[n].get("fullUrl", ""): n for n in waiting}
    order: list[int] = []
    visiting: set[int] = set()

    def visit(number: int) -> None:
        if number in visiting:
            return
        visiting.add(number)
        for url in _urns(entries[number].get("resource")):
            if url in own and url not in known:
                visit(own[url])
        order.append(number)

    for number in waiting:
        visit(number)
    return order


def _urns(node: Any) -> list[str]:
    if isinstance(node, list):
        return [url for item in node for url in _urns(item)]
    if isinstance(node, dict):
        reference = node.get("reference")
        here = [reference] if isinstance(reference, str) and reference.startswith("urn:") else []
        return here + [url for item in node.values() for url in _urns(item)]
    return []


def _decode(body: bytes) -> Resource:
    try:
        return msgspec.json.decode(body, type=Resource)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _Refused(400, "structure") from None


def _identifiers(resource: Resource | None) -> list[tuple[str, str]]:
    """Each once: a search finds a resource once, however often it names the same identifier."""
    found = (resource or {}).get("identifier", [])
    return list(dict.fromkeys(
        (i.get("system", ""), i["value"]) for i in (found if isinstance(found, list) else [found])
        if isinstance(i.get("value"), str)))


def _key(resource: Resource) -> str:
    """``Appointment?identifier=system|value`` of the first identifier; the type alone without one."""
    first = next(iter(_identifiers(resource)), None)
    return f"{resource['resourceType']}?identifier={first[0]}|{first[1]}" if first else resource["resourceType"]


def _etag(resource: Resource) -> str:
    return f'W/"{resource["meta"]["versionId"]}"'


def _reply(status: int, resource: Resource, *, location: bool = False) -> Reply:
    headers, version = {"ETag": _etag(resource)}, resource["meta"]["versionId"]
    if location:
        headers["Location"] = f"{resource['resourceType']}/{resource['id']}/_history/{version}"
    return Reply(status, msgspec.json.encode(resource), headers)


def _bundle_reply(kind: str, replies: list[Reply]) -> Reply:
    entries = []
    for reply in replies:
        response: Resource = {"status": str(reply.status)}
        if "Location" in reply.headers:
            response["location"] = reply.headers["Location"]
        if "ETag" in reply.headers:
            response["etag"] = reply.headers["ETag"]
        if reply.status >= 400:
            response["outcome"] = msgspec.json.decode(reply.body)
        entries.append({"response": response})
    return Reply(200, msgspec.json.encode({"resourceType": "Bundle", "type": kind, "entry": entries}))


_CAPABILITIES: Final[Resource] = {
    "resourceType": "CapabilityStatement", "status": "active", "date": "2026-01-01", "kind": "instance",
    "fhirVersion": "4.0.1", "format": ["json"],
    "rest": [{"mode": "server", "interaction": [{"code": "transaction"}, {"code": "batch"}],
              "resource": [{"type": name, "conditionalCreate": True, "conditionalUpdate": True}
                           for name in sorted(TYPES)]}],
}
