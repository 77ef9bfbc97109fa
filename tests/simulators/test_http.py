"""The simulated ERP and FHIR server, asked by a plain HTTP client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from simulators.erp import Erp
from simulators.faults import Plan
from simulators.fhir_server import FhirServer
from simulators.serve import PARTNERS, serve

Answer = tuple[int, Any, Any]


async def ask(method: str, url: str, body: Any = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with aiohttp.ClientSession() as session, session.request(
            method, url, data=None if body is None else json.dumps(body), headers=named) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if text else None, answer.headers


async def test_the_erp_takes_a_document_once_for_each_key() -> None:
    async with Erp() as erp:
        first = await ask("POST", erp.url, {"key": "a", "n": 1}, Idempotency_Key="k1")
        again = await ask("POST", erp.url, {"key": "a", "n": 1}, Idempotency_Key="k1")
        reused = await ask("POST", erp.url, {"key": "a", "n": 2}, Idempotency_Key="k1")
        keyless = await ask("POST", erp.url, {"key": "a"})
    assert (first[0], again[0], reused[0], keyless[0]) == (201, 201, 422, 400)
    assert erp.sink.effects == {"k1": 1}
    assert erp.sink.count == 2
    assert erp.documents == {"a": {"key": "a", "n": 1}}


async def test_an_answer_lost_after_the_commit_has_its_effect_once() -> None:
    async with Erp(plan=Plan("lost once")) as erp:
        with pytest.raises(aiohttp.ClientError):
            await ask("POST", erp.url, {"key": "a"}, Idempotency_Key="k1")
        status, _, _ = await ask("POST", erp.url, {"key": "a"}, Idempotency_Key="k1")
    assert status == 201
    assert erp.sink.order("a") == ["k1"]
    assert erp.sink.repeated() == {}


@pytest.mark.parametrize(("rule", "status", "wait"), [("429:7 once", 429, "7"), ("503 once", 503, "1"),
                                                      ("500 once", 500, None)])
async def test_a_failing_status_has_no_effect(rule: str, status: int, wait: str | None) -> None:
    async with Erp(plan=Plan(rule)) as erp:
        got, _, headers = await ask("POST", erp.url, {"key": "a"}, Idempotency_Key="k1")
    assert got == status
    assert headers.get("Retry-After") == wait
    assert erp.sink.count == 0


async def test_a_token_is_asked_for() -> None:
    async with Erp(token="t") as erp:
        assert (await ask("POST", erp.url, {}, Idempotency_Key="k"))[0] == 401
        assert (await ask("POST", erp.url, {}, Idempotency_Key="k", Authorization="Bearer t"))[0] == 201


def patient(value: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": value}], **more}


def appointment(value: str, actor: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Appointment", "status": "booked",
            "identifier": [{"system": "urn:appt", "value": value}],
            "participant": [{"actor": {"reference": actor}, "status": "accepted"}], **more}


async def test_create_read_update_and_search() -> None:
    async with FhirServer() as fhir:
        status, made, headers = await ask("POST", f"{fhir.url}/Patient", patient("1"))
        assert (status, headers["ETag"]) == (201, 'W/"1"')
        assert headers["Location"].startswith(f"Patient/{made['id']}/")
        changed = {**made, "active": True}
        status, _, headers = await ask("PUT", f"{fhir.url}/Patient/{made['id']}", changed, If_Match='W/"1"')
        assert (status, headers["ETag"]) == (200, 'W/"2"')
        status, _, _ = await ask("PUT", f"{fhir.url}/Patient/{made['id']}", changed, If_Match='W/"1"')
        assert status == 412
        _, found, _ = await ask("GET", f"{fhir.url}/Patient?identifier=urn:mrn%7C1")
        assert [e["resource"]["active"] for e in found["entry"]] == [True]
        assert (await ask("GET", f"{fhir.url}/Patient/none"))[0] == 404


async def test_conditional_create_makes_one() -> None:
    """H10"""
    async with FhirServer() as fhir:
        url, condition = f"{fhir.url}/Patient", "identifier=urn:mrn|1"
        statuses = [(await ask("POST", url, patient("1"), If_None_Exist=condition))[0] for _ in range(2)]
        await ask("POST", url, patient("1"))
        statuses.append((await ask("POST", url, patient("1"), If_None_Exist=condition))[0])
    assert statuses == [201, 200, 412]
    assert len(fhir.resources("Patient")) == 2


async def test_conditional_update_creates_then_updates() -> None:
    """H11: a repetition with the same content has no second effect."""
    async with FhirServer() as fhir:
        url = f"{fhir.url}/Patient?identifier=urn:mrn%7C1"
        statuses = [(await ask("PUT", url, patient("1", active=active), X_Request_Id=name))[0]
                    for name, active in (("a", True), ("a", True), ("b", False))]
    assert statuses == [201, 200, 200]
    assert fhir.sink.order("Patient?identifier=urn:mrn|1") == ["a", "b"]
    assert fhir.sink.repeated() == {}


def transaction(*entries: tuple[str, str, dict[str, Any], str], **request: str) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": full, "resource": resource, "request": {"method": method, "url": url, **request}}
        for full, method, resource, url in entries]}


async def test_a_resource_that_names_one_identifier_twice_is_found_once() -> None:
    """A v2.3 sender often has one number for placer and filler: two identifiers that differ in type only."""
    body = {"resourceType": "Appointment", "status": "booked", "identifier": [
        {"system": "s", "value": "1", "type": {"text": "FILL"}}, {"system": "s", "value": "1"}]}
    async with FhirServer() as fhir:
        url = f"{fhir.url}/Appointment?identifier=s|1"
        statuses = [(await ask("PUT", url, {**body, "status": status}))[0] for status in ("booked", "arrived")]
    assert statuses == [201, 200]
    assert len(fhir.resources("Appointment")) == 1


async def test_a_search_asks_for_a_system_for_none_or_for_any() -> None:
    """R4 search, token: ``system|value``, ``|value`` (no system), ``value`` (any system, the resource once)."""
    numbers = [{"value": "1"}, {"system": "s", "value": "1"}]
    async with FhirServer() as fhir:
        for held in (numbers, numbers[1:], [{"system": "t", "value": "1"}]):
            await ask("POST", f"{fhir.url}/Slot", {"resourceType": "Slot", "identifier": held})
        totals = [len((await ask("GET", f"{fhir.url}/Slot?identifier={asked}"))[1].get("entry", []))
                  for asked in ("s%7C1", "%7C1", "1")]
    assert totals == [2, 1, 3]


async def test_a_transaction_resolves_references_and_keeps_the_order_of_answers() -> None:
    """H14, H15"""
    booking = appointment("7", "urn:uuid:p")
    bundle = transaction(("urn:uuid:a", "PUT", booking, "Appointment?identifier=urn:appt|7"),
                         ("urn:uuid:p", "PUT", patient("1"), "Patient?identifier=urn:mrn|1"))
    async with FhirServer() as fhir:
        status, answer, _ = await ask("POST", fhir.url, bundle, X_Request_Id="t1")
        _, again, _ = await ask("POST", fhir.url, bundle, X_Request_Id="t1")
    assert status == 200
    assert [e["response"]["location"].split("/")[0] for e in answer["entry"]] == ["Appointment", "Patient"]
    assert [e["response"]["status"] for e in again["entry"]] == ["200", "200"]
    booked, = fhir.resources("Appointment")
    who, = fhir.resources("Patient")
    assert booked["participant"][0]["actor"]["reference"] == f"Patient/{who['id']}"
    assert fhir.sink.effects == {"t1": 1}
    assert fhir.sink.count == 2
    assert fhir.sink.all_keys() == ["Appointment?identifier=urn:appt|7"]


async def test_a_failing_entry_undoes_the_transaction() -> None:
    """H14: all or nothing."""
    bundle = transaction(("urn:uuid:p", "POST", patient("1"), "Patient"),
                         ("urn:uuid:a", "POST", appointment("7", "urn:uuid:unknown"), "Appointment"))
    async with FhirServer() as fhir:
        status, outcome, _ = await ask("POST", fhir.url, bundle)
    assert status == 400
    assert outcome["resourceType"] == "OperationOutcome"
    assert fhir.resources("Patient") == fhir.resources("Appointment") == []
    assert fhir.find("Patient", "urn:mrn", "1") == []
    assert fhir.sink.count == 0


async def test_a_batch_does_what_it_can() -> None:
    """H15"""
    bundle = {**transaction(("", "POST", patient("1"), "Patient"), ("", "POST", patient("2"), "Nonsense")),
              "type": "batch"}
    async with FhirServer() as fhir:
        _, answer, _ = await ask("POST", fhir.url, bundle)
    assert [e["response"]["status"] for e in answer["entry"]] == ["201", "404"]
    assert len(fhir.resources("Patient")) == 1


@pytest.mark.parametrize(("rule", "status", "issue"), [
    ("412 once", 412, "conflict"), ("422:invariant once", 422, "invariant"),
    ("409:lock-error once", 409, "lock-error"), ("500 once", 500, "exception"),
    ("429:3 once", 429, "throttled")])
async def test_faults_are_worded_as_operation_outcomes(rule: str, status: int, issue: str) -> None:
    async with FhirServer(plan=Plan(rule)) as fhir:
        got, outcome, _ = await ask("POST", f"{fhir.url}/Patient", patient("1"))
        assert (await ask("POST", f"{fhir.url}/Patient", patient("1")))[0] == 201
    assert got == status
    assert outcome["issue"][0]["code"] == issue


@pytest.mark.parametrize("name", sorted(PARTNERS))
async def test_a_partner_can_be_run_by_its_name(name: str) -> None:
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(name, 0, ["500 once"], ready=port.set_result))
    _, writer = await asyncio.open_connection("127.0.0.1", await port)
    writer.close()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
