"""From a dispatch to a FHIR interaction."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.findings import Rejection
from canonical.phi import Phi
from connectors.base import Dispatch
from connectors.fhir.request import contains, etag, interaction, probe, search
from connectors.fhir.settings import FhirOut

SETTINGS = FhirOut(url="http://fhir.example/r4")


def dispatch(body: Any, **attributes: str) -> Dispatch:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Dispatch(identity="d-1", body=Phi(raw), content_type="application/fhir+json", attributes=attributes)


@pytest.mark.parametrize(("body", "path"), [
    ({"resourceType": "Appointment", "status": "booked"}, "Appointment"),
    ({"resourceType": "Bundle", "type": "transaction"}, ""),
    ({"resourceType": "Bundle", "type": "batch"}, ""),
    ({"resourceType": "Bundle", "type": "collection"}, "Bundle"),
    ({"type": {"text": "not a bundle's"}, "resourceType": "Location"}, "Location"),
])
def test_a_body_says_where_it_goes(body: Any, path: str) -> None:
    """H14"""
    asked = interaction(dispatch(body), SETTINGS)
    assert (asked.method, asked.path) == ("POST", path)
    assert asked.headers["X-Request-Id"] == "d-1"
    assert asked.headers["Prefer"] == "return=minimal, handling=strict"


def test_attributes_decide_over_the_body() -> None:
    """H10, H11, H12"""
    asked = interaction(dispatch(b"[]", method="PUT", path="Appointment?identifier=a%7Cb", if_match="7",
                                 if_none_exist="?identifier=a|b"), SETTINGS)
    assert (asked.method, asked.path) == ("PUT", "Appointment?identifier=a%7Cb")
    assert asked.headers["If-Match"] == 'W/"7"'
    assert asked.headers["If-None-Exist"] == "identifier=a|b"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"resourceType": "../x"}', b'{"resourceType": 1}',
                                  b"\xff\xfe"])
def test_a_body_that_is_no_resource_is_rejected(body: bytes) -> None:
    with pytest.raises(Rejection) as caught:
        interaction(dispatch(body), SETTINGS)
    assert caught.value.findings[0].code == "fhir.body"


@pytest.mark.parametrize(("version", "header"), [
    ("7", 'W/"7"'), ('W/"7"', 'W/"7"'), ('"7"', '"7"'), ("*", "*")])
def test_a_version_becomes_an_etag(version: str, header: str) -> None:
    assert etag(version) == header


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_any_identifier_can_be_searched(system: str, value: str) -> None:
    """What is data stays data: no identifier can add a parameter or leave its place."""
    url = urlsplit(f"http://h/{search('Patient', system, value)}")
    token, = parse_qs(url.query, strict_parsing=True)["identifier"]
    assert set(parse_qs(url.query)) == {"identifier"}
    parts = re.fullmatch(r"((?:[^\\|]|\\.)*)\|((?:[^\\|]|\\.)*)", token, re.DOTALL)
    assert parts is not None
    assert [re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in parts.groups()] == [system, value]


IDENTIFIED = {"resourceType": "Appointment",
              "identifier": [{"use": "usual"}, {"system": "urn:s", "value": "1"}]}


@pytest.mark.parametrize(("body", "query"), [
    (IDENTIFIED, "Appointment?identifier=urn%3As%7C1"),
    ({"resourceType": "Appointment"}, ""),
    ({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": {"resourceType": "Patient", "identifier": [{"value": "p"}]},
         "request": {"method": "PUT", "url": "Patient?identifier=p"}},
        {"resource": IDENTIFIED, "request": {"method": "POST", "url": "Appointment"}}]},
     "Appointment?identifier=urn%3As%7C1"),
    ({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": IDENTIFIED,
         "request": {"method": "POST", "url": "Appointment", "ifNoneExist": "identifier=1"}}]}, ""),
    ([{"op": "add"}], ""),
])
def test_a_create_can_be_looked_for(body: Any, query: str) -> None:
    """H18: only what a repetition would create twice."""
    assert probe(msgspec.json.encode(body)) == query


@pytest.mark.parametrize(("held", "same"), [
    ({"id": "9", "a": 1, "b": [{"c": 2, "d": 3}], "meta": {}}, True),
    ({"a": 1, "b": [{"c": 2}, {"c": 3}]}, False),
    ({"a": 1, "b": [{"c": 9}]}, False),
    ({"b": [{"c": 2}]}, False),
    ([], False),
])
def test_a_server_may_add_but_not_change(held: Any, same: bool) -> None:
    """H16: a duplicate is a delivery where the content is ours."""
    assert contains({"id": "1", "a": 1, "b": [{"c": 2}]}, held) is same
