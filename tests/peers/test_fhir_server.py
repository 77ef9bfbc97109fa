"""Our FHIR sender against a FHIR R4 server of somebody else (Medplum)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest

from canonical.findings import Severity
from canonical.phi import Phi
from connectors.base import Delivered, Dispatch, Rejected
from connectors.fhir.sender import FhirSender
from connectors.fhir.settings import FhirOut
from connectors.fhir.validate import validate

pytestmark = pytest.mark.peer

SYSTEM = "urn:oid:2.999.20.2"
BY_ID = "Appointment?identifier=urn%3Aoid%3A2.999.20.2%7CMA-1"


def appointment(value: str = "MA-1", **changes: Any) -> dict[str, Any]:
    base = {"resourceType": "Appointment", "identifier": [{"system": SYSTEM, "value": value}],
            "status": "booked", "start": "2026-03-02T09:00:00-05:00", "end": "2026-03-02T09:30:00-05:00",
            "minutesDuration": 30,
            "participant": [{"actor": {"display": "Dr. Nair"}, "status": "accepted"}]}
    return {name: value for name, value in {**base, **changes}.items() if value is not ...}


def patient() -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:oid:2.999.20.1", "value": "MH1"}],
            "name": [{"family": "Delacroix", "given": ["René"]}], "gender": "male", "birthDate": "1971-02-09"}


def transaction(*entries: tuple[str, dict[str, Any], dict[str, str]]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "transaction",
            "entry": [{"fullUrl": url, "resource": resource, "request": request}
                      for url, resource, request in entries]}


def dispatch(body: Any, **attributes: str) -> Dispatch:
    return Dispatch(identity="d-1", body=Phi(msgspec.json.encode(body)), content_type="application/fhir+json",
                    attributes=attributes)


@asynccontextmanager
async def sender(url: str, **settings: Any) -> AsyncIterator[FhirSender]:
    it = FhirSender("fhir", FhirOut(url=url, keep_response=True, **settings))
    await it.start()
    try:
        yield it
    finally:
        await it.stop(1)


async def held(url: str, kind: str) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/{kind}") as reply:
        return [entry["resource"] for entry in (await reply.json(content_type=None)).get("entry", [])]


def statuses(verdict: object) -> list[str]:
    assert isinstance(verdict, Delivered)
    assert verdict.response is not None
    bundle = msgspec.json.decode(verdict.response.reveal())
    return [entry["response"]["status"] for entry in bundle["entry"]]


async def test_a_transaction_creates_once(fhir_url: str) -> None:
    """H10, H14: ifNoneExist 201, then 200; references by urn:uuid are resolved."""
    bundle = transaction(
        ("urn:uuid:0c3b5b1e-7f43-4f0c-9d0e-000000000001", patient(),
         {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=urn:oid:2.999.20.1|MH1"}),
        ("urn:uuid:0c3b5b1e-7f43-4f0c-9d0e-000000000002", appointment(participant=[
            {"actor": {"reference": "urn:uuid:0c3b5b1e-7f43-4f0c-9d0e-000000000001"}, "status": "accepted"}]),
         {"method": "POST", "url": "Appointment", "ifNoneExist": f"identifier={SYSTEM}|MA-1"}))
    async with sender(fhir_url) as it:
        first, again = [await it.send(dispatch(bundle)) for _ in range(2)]
        who, = await held(fhir_url, "Patient")
        booked, = await held(fhir_url, "Appointment")
    assert (statuses(first), statuses(again)) == (["201", "201"], ["200", "200"])
    assert booked["participant"][0]["actor"]["reference"] == f"Patient/{who['id']}"


async def test_a_transaction_with_a_bad_entry_leaves_nothing(fhir_url: str) -> None:
    """H14"""
    bundle = transaction(
        ("urn:uuid:0c3b5b1e-7f43-4f0c-9d0e-000000000001", patient(), {"method": "POST", "url": "Patient"}),
        ("urn:uuid:0c3b5b1e-7f43-4f0c-9d0e-000000000002", appointment(start=...),
         {"method": "POST", "url": "Appointment"}))
    async with sender(fhir_url) as it:
        verdict = await it.send(dispatch(bundle))
        assert await held(fhir_url, "Patient") == []
    assert isinstance(verdict, Rejected)
    assert not verdict.channel_wide


async def test_a_conditional_update_creates_and_then_updates(fhir_url: str) -> None:
    """H11"""
    async with sender(fhir_url) as it:
        first = await it.send(dispatch(appointment(), method="PUT", path=BY_ID))
        second = await it.send(dispatch(appointment(status="cancelled"), method="PUT", path=BY_ID))
        one, = await held(fhir_url, "Appointment")
    assert (first.code, second.code) == ("201", "200")
    assert one["status"] == "cancelled"


async def test_a_conditional_write_with_several_matches_is_ambiguous(fhir_url: str) -> None:
    """H10, H11"""
    async with sender(fhir_url) as it:
        for _ in range(2):
            await it.send(dispatch(appointment()))
        create = await it.send(dispatch(appointment(), if_none_exist=f"identifier={SYSTEM}|MA-1"))
        update = await it.send(dispatch(appointment(), method="PUT", path=BY_ID))
    for verdict in (create, update):
        assert isinstance(verdict, Rejected)
        assert verdict.finding.code == "fhir.ambiguous"


async def test_a_stale_version_is_refused_and_can_be_overwritten_on_request(fhir_url: str) -> None:
    """H12"""
    async with sender(fhir_url) as it:
        await it.send(dispatch(appointment()))
        one, = await held(fhir_url, "Appointment")
        change, path = appointment(id=one["id"], status="arrived"), f"Appointment/{one['id']}"
        stale = await it.send(dispatch(change, method="PUT", path=path, if_match="not-this"))
        fresh = await it.send(dispatch(change, method="PUT", path=path, if_match=one["meta"]["versionId"]))
        again = await it.send(dispatch(appointment(id=one["id"], status="fulfilled"), method="PUT", path=path,
                                       if_match=one["meta"]["versionId"], overwrite="true"))
        last, = await held(fhir_url, "Appointment")
    assert isinstance(stale, Rejected)
    assert stale.finding.code == "fhir.stale"
    assert (fresh.code, again.code) == ("200", "200")
    assert last["status"] == "fulfilled"


async def test_a_create_is_found_again_by_its_identifier(fhir_url: str) -> None:
    """H18"""
    async with sender(fhir_url, verify_by_search=True) as it:
        verdicts = [await it.send(dispatch(appointment())) for _ in range(2)]
        assert len(await held(fhir_url, "Appointment")) == 1
    assert [v.code for v in verdicts] == ["201", "found"]


@pytest.mark.parametrize(("changes", "rule"), [
    ({"participant": [{"status": "accepted"}]}, "app-1"),
    ({"end": ...}, "app-2"),
    ({"start": ..., "end": ..., "minutesDuration": ...}, "app-3"),
    ({"cancelationReason": {"text": "x"}}, "app-4"),
    ({"participant": ...}, ""),
    ({"stat": "booked"}, ""),
    ({"start": "2026-03-02"}, ""),
])
async def test_what_our_check_objects_to_the_server_refuses(fhir_url: str, changes: dict[str, Any],
                                                            rule: str) -> None:
    """H03: our validation agrees with another implementation."""
    found = validate(appointment(**changes))
    assert found
    assert any(rule in f.detail for f in found)
    async with sender(fhir_url) as it:
        verdict = await it.send(dispatch(appointment(**changes)))
    assert isinstance(verdict, Rejected)
    assert verdict.finding.code == "fhir.refused"


@pytest.mark.parametrize("changes", [
    {},
    {"status": "proposed", "start": ..., "end": ..., "minutesDuration": ...},
    {"status": "cancelled", "cancelationReason": {"text": "x"}},
    {"status": "noshow", "cancelationReason": {"text": "x"}},
])
async def test_what_our_check_accepts_the_server_takes(fhir_url: str, changes: dict[str, Any]) -> None:
    """H03, H29; app-4 with its expression corrected, as this server has it: for us a warning."""
    assert [f for f in validate(appointment(**changes)) if f.severity is Severity.ERROR] == []
    async with sender(fhir_url) as it:
        assert isinstance(await it.send(dispatch(appointment(**changes))), Delivered)
