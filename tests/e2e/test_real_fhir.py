"""The demo site with somebody else's FHIR server in the place of its scheduler: both EHRs' histories, and what
the server holds in the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from canonical.model import Appointment, Identifier, ParticipantKind, Patient, Reference
from simulators.downstream import DownstreamHl7
from simulators.ehr import Ehr, feed
from simulators.erp import Erp
from store.ledger import Ledger
from store.records import DeliveryState, MessageQuery
from tests.e2e.harness import engine, ledger, settled
from wiring.demo.stage import Stage

pytestmark = [pytest.mark.slow, pytest.mark.peer, pytest.mark.timeout(240)]

COUNT = 60
KINDS = {ParticipantKind.PRACTITIONER: "Practitioner", ParticipantKind.EQUIPMENT: "Device"}


async def held(url: str, kind: str) -> list[dict[str, Any]]:
    """Every resource of a type, page by page."""
    found: list[dict[str, Any]] = []
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{url}/{kind}", params={"_count": 100, "_offset": len(found)}) as reply:
                assert reply.status == 200
                entries = (await reply.json(content_type=None)).get("entry", [])
            found += [entry["resource"] for entry in entries]
            if len(entries) < 100:
                return found


async def appointments(opened: Ledger) -> list[Appointment]:
    """The present state of every appointment that was ever spoken of."""
    messages = await opened.find(MessageQuery(limit=100_000))
    events = await opened.events_of([message.id for message in messages])
    keys = dict.fromkeys(event.subject_key for event in events if isinstance(event.entity, Appointment))
    states = [await opened.state_of(key) for key in keys]
    return [state.entity for state in states if state is not None and isinstance(state.entity, Appointment)]


def tokens(identifiers: tuple[Identifier, ...] | None) -> Iterator[tuple[str, str]]:
    for one in identifiers or ():
        yield str(one.system or ""), str(one.value)


def people(appointment: Appointment) -> set[tuple[str, str]]:
    """(kind, number) of everybody and everything an appointment needs that has a number."""
    needed = [("Patient", appointment.patient.identifiers)] if isinstance(appointment.patient, Patient) else []
    needed += [(KINDS[one.kind], one.who.identifiers) for one in appointment.participants or ()
               if one.kind in KINDS and isinstance(one.who, Reference)]
    return {(kind, str(identifiers[0].value)) for kind, identifiers in needed if identifiers}


async def test_a_server_of_somebody_else_ends_with_every_appointment_once_as_the_engine_knows_it(
        stage: Stage, fhir_url: str) -> None:
    """H03, H10, H11, H14: status, start, end and participants, read back from the server."""
    site = stage.config / "site.yaml"
    ours = f"127.0.0.1:{stage.ports['scheduler']}"
    site.write_text(site.read_text(encoding="utf-8").replace(ours, urlsplit(fhir_url).netloc), encoding="utf-8")
    async with (DownstreamHl7(stage.ports["harbor"]), Erp(stage.ports["staffing"]), engine(stage),
                ledger(stage) as opened):
        tallies = await asyncio.gather(*[
            feed(islice(Ehr(style, seed=seed).histories(wave=12), COUNT), "127.0.0.1", stage.ports[style],
                 connections=4) for style, seed in (("mercy", 41), ("lakeside", 42))])
        assert [tally.accepted for tally in tallies] == [COUNT, COUNT]
        await settled(opened, 2 * COUNT)
        parked = await opened.find_deliveries(destination="scheduler", state=DeliveryState.PARKED)
        assert Counter(one.reason for one in parked) == {}
        known = await appointments(opened)
        there = await held(fhir_url, "Appointment")

    assert len(known) > 10
    assert {kind for appointment in known for kind, _ in people(appointment)} == {"Patient", *KINDS.values()}
    assert {appointment.status for appointment in known} >= {"booked", "cancelled"}
    by_token: dict[tuple[str, str], set[str]] = {}
    for resource in there:
        for one in resource["identifier"]:
            by_token.setdefault((one.get("system", ""), one["value"]), set()).add(resource["id"])
    resources = {resource["id"]: resource for resource in there}
    for appointment in known:
        ids = set[str]().union(*[by_token.get(token, set()) for token in tokens(appointment.identifiers)])
        assert len(ids) == 1, "not there, or there twice"
        resource = resources[ids.pop()]
        assert resource["status"] == appointment.status
        assert resource.get("start") == appointment.start
        assert resource.get("end") == appointment.end
        assert {(one["actor"]["type"], one["actor"]["identifier"]["value"]) for one in resource["participant"]
                if "identifier" in one["actor"]} == people(appointment)
    assert len(there) == len(known), "the server holds an appointment that the engine does not know"
    patients = Counter(one["identifier"][0]["value"] for one in await held(fhir_url, "Patient"))
    assert set(patients.values()) == {1}, "a patient is there twice"
