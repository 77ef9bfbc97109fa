"""From a dispatch to a FHIR interaction. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import quote

import msgspec

from canonical.findings import Rejection, finding
from connectors.base import Dispatch
from connectors.fhir.codes import BODY
from connectors.fhir.settings import FhirOut

MEDIA_TYPE: Final = "application/fhir+json"
_TYPE: Final = re.compile(r"[A-Z][A-Za-z]{2,40}")
_VERSION: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")


class Head(msgspec.Struct, rename="camel"):
    """The part of a body that decides where it goes; the rest is skipped while decoding."""

    resource_type: str
    type: Any = None
    id: str = ""


class Interaction(msgspec.Struct, frozen=True):
    """One request of the FHIR REST API (http://hl7.org/fhir/R4/http.html)."""

    method: str
    path: str
    """Relative to the base URL, percent-encoded; empty for a transaction or a batch."""
    headers: dict[str, str]

    @property
    def conditional_on_version(self) -> bool:
        """True where the request carries If-Match."""
        return "If-Match" in self.headers

    @property
    def repeatable(self) -> bool:
        """False where a repetition may create a second resource."""
        return self.method != "POST" or "If-None-Exist" in self.headers


def interaction(dispatch: Dispatch, settings: FhirOut) -> Interaction:
    """The interaction a dispatch asks for.

    `Dispatch.attributes` may carry ``method``, ``path`` (``Appointment?identifier=…`` for a conditional
    update, H11), ``if_none_exist`` (a query without its ``?``: conditional create, H10) and ``if_match`` (a
    version id or an ETag, H12). Without ``path`` a transaction or batch goes to the base URL, and any other
    resource is created under its type.

    Raises:
        Rejection: the body is not a resource (``fhir.body``).
    """
    attributes = dispatch.attributes
    method, path = attributes.get("method", "POST"), attributes.get("path")
    if path is None:
        head = head_of(dispatch.body.reveal())
        path = "" if head.resource_type == "Bundle" and head.type in {"transaction", "batch"} \
            else head.resource_type
    headers = {
        "Content-Type": dispatch.content_type or MEDIA_TYPE,
        "Accept": MEDIA_TYPE,
        "Prefer": f"return={settings.prefer}{', handling=strict' if settings.strict else ''}",
        "X-Request-Id": dispatch.identity,
    }
    if condition := attributes.get("if_none_exist"):
        headers["If-None-Exist"] = condition.removeprefix("?")
    if version := attributes.get("if_match"):
        headers["If-Match"] = etag(version)
    return Interaction(method, path, headers)


def head_of(body: bytes) -> Head:
    """Type and kind of a resource.

    Raises:
        Rejection: it is not a resource in JSON (``fhir.body``).
    """
    try:
        head = msgspec.json.decode(body, type=Head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejection(finding(BODY)) from error
    if not _TYPE.fullmatch(head.resource_type):
        raise Rejection(finding(BODY, at="/resourceType"))
    return head


def etag(version: str) -> str:
    """``7`` → ``W/"7"`` (http.html#concurrency); an ETag stays what it is."""
    return f'W/"{version}"' if _VERSION.fullmatch(version) else version


def search(resource_type: str, system: str, value: str) -> str:
    """``Appointment?identifier=…`` with everything that is data percent-encoded.

    ``,``, ``$``, ``|`` and ``\\`` have a meaning inside a search value and are escaped first
    (http.html, search.html#escaping).
    """
    token = f"{_escape(system)}|{_escape(value)}" if system else _escape(value)
    return f"{resource_type}?identifier={quote(token, safe='')}"


def _escape(text: str) -> str:
    return re.sub(r"([\\,$|])", r"\\\1", text)


def probe(body: bytes) -> str:
    """The search that tells whether a create was done already (H18); empty where there is none.

    For a transaction it asks for the first resource it creates unconditionally: a transaction is done as a
    whole or not at all (H14), so one stands for all.
    """
    try:
        resource = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""  # a patch or a form: nothing that could be searched
    if resource.get("resourceType") != "Bundle":
        return _by_identifier(resource)
    for entry in resource.get("entry", ()) if resource.get("type") == "transaction" else ():
        request = entry.get("request", {})
        if request.get("method") == "POST" and not request.get("ifNoneExist"):
            return _by_identifier(entry.get("resource", {}))
    return ""


def _by_identifier(resource: Mapping[str, Any]) -> str:
    for identifier in cast("list[dict[str, str]]", resource.get("identifier", [])):
        if isinstance(identifier, dict) and identifier.get("value"):
            return search(str(resource["resourceType"]), identifier.get("system", ""), identifier["value"])
    return ""


def contains(sent: Any, held: Any) -> bool:
    """True where everything in `sent` is in `held` too: the server may have added, but not changed.

    What the server alone decides (``id``, ``meta``, ``text``) is left out at the top.
    """
    if isinstance(sent, dict) and isinstance(held, dict):
        own = {key: value for key, value in sent.items() if key not in {"id", "meta", "text"}}
        return _within(own, held)
    return False


def _within(sent: Any, held: Any) -> bool:
    if isinstance(sent, dict):
        return isinstance(held, dict) and all(key in held and _within(value, held[key])
                                              for key, value in sent.items())
    if isinstance(sent, list):
        return isinstance(held, list) and len(sent) == len(held) and all(map(_within, sent, held))
    return bool(sent == held)
