"""The FHIR sender against the simulated server, and against scripted answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from canonical.phi import Phi
from connectors.base import Delivered, Dispatch, Rejected, Retry, Unknown
from connectors.fhir.sender import FhirSender
from connectors.fhir.settings import FhirOut
from simulators.faults import Plan
from simulators.fhir_server import FhirServer
from tests.http.peer import Exchange, Peer

BY_ID = "Appointment?identifier=urn%3Aappt%7C7"


def appointment(**changes: Any) -> dict[str, Any]:
    return {"resourceType": "Appointment", "identifier": [{"system": "urn:appt", "value": "7"}],
            "status": "booked", "start": "2026-03-02T09:00:00Z", "end": "2026-03-02T09:30:00Z",
            "participant": [{"actor": {"display": "Dr"}, "status": "accepted"}], **changes}


def dispatch(body: Any, identity: str = "d-1", **attributes: str) -> Dispatch:
    return Dispatch(identity=identity, body=Phi(msgspec.json.encode(body)), attributes=attributes,
                    content_type="application/fhir+json")


@asynccontextmanager
async def sender(url: str, **settings: object) -> AsyncIterator[FhirSender]:
    given = {"url": url, "connect_timeout_s": 2, "timeout_s": 5, **settings}
    it = FhirSender("out", msgspec.convert(given, FhirOut))
    await it.start()
    try:
        yield it
    finally:
        await it.stop(1)


async def test_a_conditional_create_is_done_once() -> None:
    """H10"""
    async with FhirServer() as fhir, sender(fhir.url) as it:
        create = dispatch(appointment(), if_none_exist="identifier=urn:appt|7")
        verdicts = [await it.send(create) for _ in range(2)]
    assert [v.code for v in verdicts] == ["201", "200"]
    assert len(fhir.resources("Appointment")) == 1
    assert isinstance(verdicts[0], Delivered)
    assert verdicts[0].reference.startswith("Appointment/")


async def test_a_conditional_create_with_several_matches_is_a_task_for_people() -> None:
    """H10"""
    async with FhirServer() as fhir, sender(fhir.url) as it:
        for n in range(2):
            await it.send(dispatch(appointment(), f"d-{n}"))
        verdict = await it.send(dispatch(appointment(), "d-3", if_none_exist="identifier=urn:appt|7"))
    assert isinstance(verdict, Rejected)
    assert verdict.finding.code == "fhir.ambiguous"


async def test_a_conditional_update_creates_and_then_updates() -> None:
    """H11"""
    async with FhirServer() as fhir, sender(fhir.url) as it:
        first = await it.send(dispatch(appointment(), "d-1", method="PUT", path=BY_ID))
        second = await it.send(dispatch(appointment(status="arrived"), "d-2", method="PUT", path=BY_ID))
    assert (first.code, second.code) == ("201", "200")
    held, = fhir.resources("Appointment")
    assert held["status"] == "arrived"
    assert fhir.sink.order("Appointment?identifier=urn:appt|7") == ["d-1", "d-2"]


async def test_a_transaction_goes_to_the_base_url() -> None:
    """H14"""
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": "urn:uuid:1", "resource": appointment(), "request": {"method": "PUT", "url": BY_ID}}]}
    async with FhirServer() as fhir, sender(fhir.url) as it:
        verdict = await it.send(dispatch(bundle))
    assert verdict == Delivered("200")
    assert len(fhir.resources("Appointment")) == 1


async def test_a_stale_version_is_not_overwritten_unasked() -> None:
    """H12, invariant 11."""
    async with FhirServer() as fhir, sender(fhir.url) as it:
        await it.send(dispatch(appointment(), method="PUT", path=BY_ID))
        number = fhir.resources("Appointment")[0]["id"]
        changed = appointment(id=number, status="cancelled")
        path = f"Appointment/{number}"
        verdict = await it.send(dispatch(changed, "d-2", method="PUT", path=path, if_match="99"))
    assert isinstance(verdict, Rejected)
    assert verdict.finding.code == "fhir.stale"
    assert fhir.resources("Appointment")[0]["status"] == "booked"


@pytest.mark.parametrize("path", ["Appointment/{id}", BY_ID])
async def test_an_overwriting_update_takes_the_version_it_finds(path: str) -> None:
    """H12"""
    async with FhirServer() as fhir, sender(fhir.url) as it:
        await it.send(dispatch(appointment(), method="PUT", path=BY_ID))
        number = fhir.resources("Appointment")[0]["id"]
        verdict = await it.send(dispatch(appointment(id=number, status="cancelled"), "d-2", method="PUT",
                                         path=path.format(id=number), if_match="99", overwrite="true"))
    assert isinstance(verdict, Delivered)
    assert fhir.resources("Appointment")[0]["status"] == "cancelled"


async def test_an_overwriting_update_tries_twice_and_not_for_ever() -> None:
    """H12: bounded; the retry policy has the word after that."""
    async def race(exchange: Exchange) -> None:
        if exchange.line.startswith("GET"):
            await exchange.answer(200, b"{}", etag='W/"5"')
        else:
            await exchange.answer(412)

    async with Peer(race) as peer, sender(peer.url) as it:
        verdict = await it.send(dispatch(appointment(id="1"), method="PUT", path="Appointment/1", if_match="4",
                                         overwrite="true"))
    assert isinstance(verdict, Retry)
    assert [r.headers.get("if-match") for r in peer.requests] == ['W/"4"', None, 'W/"5"']


async def test_an_answer_lost_after_the_commit_is_unknown() -> None:
    """Invariant 6"""
    async with FhirServer(plan=Plan("lost once")) as fhir, sender(fhir.url) as it:
        assert isinstance(await it.send(dispatch(appointment())), Unknown)
    assert len(fhir.resources("Appointment")) == 1


async def test_a_create_whose_answer_was_lost_is_found_before_it_is_repeated() -> None:
    """H18"""
    async with FhirServer(plan=Plan("lost once")) as fhir, sender(fhir.url, verify_by_search=True) as it:
        first = await it.send(dispatch(appointment()))
        again = await it.send(dispatch(appointment()))
    assert isinstance(first, Unknown)
    assert isinstance(again, Delivered)
    assert again.code == "found"
    assert len(fhir.resources("Appointment")) == 1


async def test_without_the_search_a_repeated_create_is_a_second_resource() -> None:
    """Why H18 is needed: the control of the test above."""
    async with FhirServer(plan=Plan("lost once")) as fhir, sender(fhir.url) as it:
        await it.send(dispatch(appointment()))
        await it.send(dispatch(appointment()))
    assert len(fhir.resources("Appointment")) == 2


async def test_a_create_that_is_not_there_yet_is_made() -> None:
    """H18"""
    async with FhirServer() as fhir, sender(fhir.url, verify_by_search=True) as it:
        assert (await it.send(dispatch(appointment()))).code == "201"


async def test_a_search_that_gets_no_answer_is_only_a_retry() -> None:
    """A search has no effect: nothing is unknown."""
    async def silent(exchange: Exchange) -> None:
        await asyncio.sleep(60)

    async with Peer(silent) as peer, sender(peer.url, verify_by_search=True, timeout_s=0.1) as it:
        assert isinstance(await it.send(dispatch(appointment())), Retry)
    assert [r.line.split()[0] for r in peer.requests] == ["GET"]


@pytest.mark.parametrize(("held", "word"), [({}, Delivered), ({"status": "cancelled"}, Rejected)])
async def test_a_duplicate_is_a_delivery_where_it_is_equal(held: dict[str, Any], word: type) -> None:
    """H16"""
    found = {"resourceType": "Bundle", "entry": [{"resource": appointment(id="9", **held)}]}

    async def duplicate(exchange: Exchange) -> None:
        if exchange.line.startswith("GET"):
            await exchange.answer(200, msgspec.json.encode(found))
        else:
            await exchange.answer(409, b'{"resourceType":"OperationOutcome","issue":'
                                       b'[{"severity":"error","code":"duplicate"}]}')

    async with Peer(duplicate) as peer, sender(peer.url) as it:
        assert type(await it.send(dispatch(appointment()))) is word


async def test_a_busy_server_is_believed() -> None:
    """H17"""
    async with FhirServer(plan=Plan("429:7 once")) as fhir, sender(fhir.url) as it:
        verdict = await it.send(dispatch(appointment()))
    assert isinstance(verdict, Retry)
    assert verdict.free
    assert verdict.after == 7.0


async def test_a_refusal_names_the_rule_and_not_the_value() -> None:
    """H16, invariant 12."""
    async with FhirServer(plan=Plan("422:invariant once")) as fhir, sender(fhir.url) as it:
        verdict = await it.send(dispatch(appointment(comment="CANARY")))
    assert isinstance(verdict, Rejected)
    assert not verdict.channel_wide
    assert "invariant" in verdict.finding.detail
    assert "CANARY" not in repr(verdict)


async def test_a_body_that_is_no_resource_is_never_sent() -> None:
    async with FhirServer() as fhir, sender(fhir.url) as it:
        verdict = await it.send(dispatch({"no": "resource"}))
    assert isinstance(verdict, Rejected)
    assert verdict.finding.code == "fhir.body"
    assert fhir.requests == 0
