"""Documents that came before, decided in a running engine on each of the three ledgers (A1.7; issue D, Split)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from canonical.document import Document
from canonical.entities import AnyEntity
from canonical.event import Basis, Event, Source, Version
from canonical.findings import Severity, declare, finding
from canonical.phi import Phi
from canonical.referral import Referral, ReferralStatus
from connectors.base import Peek, Submission
from router import internal
from router.desk import Refusal
from router.flow_config import TASKS
from router.release import Releaser
from router.translate import Translation
from store.ledger import Ledger
from store.records import AuditEntry, Message, MessageQuery, MessageState, StoredTask
from tests.workflow.clinic import Clinic, ClinicTranslator, clinic_site

WRONG = declare("test.wrong_page", Severity.FATAL, "The page is wrong on purpose.", "Mend the test.")
ON_IT = {"identifiers(type=PLAC).value": "RF-123456", "patient.identifiers(type=MR).value": "81203271",
         "patient.birth_date": "1985-10-09", "coverages(0).member_id": "W942", "effective_at": "2026-05-18",
         "specialty": "Cardiology", "diagnoses(0).code": "M75.41"}


class Desk(ClinicTranslator):
    """Reads ``{"scans": [{"sha": …, "fields": {…}}, …], "parent": …}`` as the table of referrals reads pages."""

    def read(self, message: Message) -> Translation:
        says = [] if message.channel in internal.CHANNELS else json.loads(message.raw.reveal())
        if not isinstance(says, dict) or "scans" not in says:
            return super().read(message)
        if says.get("wrong") and message.id not in self.fixed:
            return Translation(findings=(finding(WRONG),), revision="r1")
        origin, scans = says.get("parent", message.id), says["scans"]
        entities: list[dict[str, Any]] = []
        if len(scans) > 1:
            entities.append({"entity": "Document", "status": "split", "kind": "fax", "message_id": origin,
                             "identifiers": [number("SHA256", "whole")]})
        for scan in scans:
            fields = [{"field": name, "value": value, "raw": value, "confidence": scan.get("sure", {}).get(name, 990)}
                      for name, value in scan["fields"].items()]
            entities.append({
                "entity": "Document", "status": "extracted", "kind": "referral", "template": "t", "message_id": origin,
                "identifiers": [number("SHA256", scan["sha"])], "pages": scan.get("pages", 1),
                "perceptual_hash": scan.get("pictures", ["00" * 32]), "fields": fields})
            entities.append({
                "entity": "Referral", "status": "received", "evidence": fields,
                "identifiers": [number("FILL", scan["sha"])],
                "documents": [{"identifiers": [number("SHA256", scan["sha"])]}],
                "specialty": {"text": scan["fields"].get("specialty", "")}})
        events = []
        for place, one in enumerate(entities, 1):
            kind = one["entity"].lower()
            events.append(Event(
                id=f"{message.id}.{place}", type="document.extracted" if kind == "document" else "referral.received",
                entity=msgspec.convert(one, AnyEntity), message_id=message.id, received_at=message.received_at,
                subject_key=f"{kind}:DRAGOMAN|{one['identifiers'][0]['value']}", source=Source(channel=message.channel),
                version=Version(at=internal.stamp(message.received_at), tie=message.id, basis=Basis.ARRIVAL),
                occurred_at="2026-11-24T08:00:00+00:00", revision="r1"))
        return Translation(events=tuple(events), revision="r1")


def number(kind: str, value: str) -> dict[str, str]:
    return {"type": kind, "value": value, "assigner": "DRAGOMAN"}


def scan(sha: str, **more: Any) -> dict[str, Any]:
    """One form as it was read; `fields` differ from those of the form in what is given."""
    fields = {name: value for name, value in {**ON_IT, **more.pop("fields", {})}.items() if value}
    return {"sha": sha, "fields": fields, **more}


class Office(Clinic):
    """A clinic that gets faxes, and tells a payer of every referral."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(clinic_site(partitions=16), ledger=ledger)

    def _translator(self) -> Desk:
        return Desk()

    async def fax(self, *scans: dict[str, Any], lane: str = "", **more: Any) -> str:
        raw = json.dumps({"scans": scans, **more}).encode()
        receipt = await self.engine.door.accept(Submission(
            channel="ehr", raw=Phi(raw), peek=Peek(lanes=(lane or f"message:{scans[0]['sha']}{more}",))))
        return receipt.message_id

    async def referral(self, sha: str) -> Referral | None:
        state = await self.ledger.state_of(f"referral:DRAGOMAN|{sha}")
        return state.entity if state is not None and isinstance(state.entity, Referral) else None

    async def document(self, key: str) -> Document:
        state = await self.ledger.state_of(f"document:DRAGOMAN|{key}")
        assert state is not None
        assert isinstance(state.entity, Document)
        return state.entity

    async def events(self, message_id: str) -> list[str]:
        made = await self.ledger.events([f"{message_id}.{place}" for place in range(8)])
        return sorted(event.type for event in made.values())

    async def message(self, message_id: str) -> Message:
        found = await self.ledger.message(message_id)
        assert found is not None
        return found

    async def sorting(self) -> list[StoredTask]:
        return [task for task in await self.open_tasks() if task.reason.startswith("DOCUMENT:")]

    @property
    def releaser(self) -> Releaser:
        return Releaser(self.ledger, self.translator, self.broker.ring, self.clock)


async def test_another_scan_of_the_same_form_is_linked_and_makes_no_second_referral(spread: Ledger) -> None:
    """A1.7"""
    async with Office(spread) as office:
        first = await office.fax(scan("a"))
        await office.quiet()
        again = await office.fax(scan("b"))
        await office.quiet()
        assert await office.events(again) == ["document.extracted"]
        assert await office.referral("b") is None
        link = (await office.document("b")).duplicate_of
        assert link
        assert link.value == "a"
        message = await office.message(again)
        assert message.reason == "document.duplicate"
        [found] = [one for one in message.findings if one.code == "document.duplicate"]
        assert found.detail == f"message {first}"
        assert [m.id for m in await spread.find(MessageQuery(reason="document.duplicate"))] == [again]
        assert await office.sorting() == []


async def test_the_same_bytes_from_another_fax_are_a_document_of_their_own(spread: Ledger) -> None:
    """The state of the first is not touched: it is no duplicate of itself."""
    async with Office(spread) as office:
        await office.fax(scan("a"))
        await office.quiet()
        again = await office.fax(scan("a"), lane="message:other")
        await office.quiet()
        assert await office.events(again) == ["document.extracted"]
        assert not (await office.document("a")).duplicate_of
        assert (await office.document(f"a.{again}")).duplicate_of


async def test_what_is_read_again_is_itself(spread: Ledger) -> None:
    """A reading by a newer OCR of the same stored fax, before and after others that are alike."""
    async with Office(spread) as office:
        await office.fax(scan("a"), parent="FAX-1")
        await office.quiet()
        twin = await office.fax(scan("b"), parent="FAX-2")
        await office.quiet()
        for parent, sha, events in (("FAX-1", "a", ["document.extracted", "referral.received"]),
                                    ("FAX-2", "b", ["document.extracted"])):
            better = await office.fax(scan(sha), parent=parent, version=2)
            await office.quiet()
            assert await office.events(better) == events
        assert not (await office.document("a")).duplicate_of
        assert await office.events(twin) == ["document.extracted"]


async def test_a_changed_form_revises_the_referral_and_says_what_changed(spread: Ledger) -> None:
    """A1.7: changed page -> revision."""
    async with Office(spread) as office:
        await office.fax(scan("a"))
        await office.quiet()
        changed = await office.fax(scan("b", fields={"specialty": "Neurology"}))
        await office.quiet()
        assert await office.events(changed) == ["document.extracted", "referral.revised"]
        assert await office.referral("b") is None
        referral = await office.referral("a")
        assert referral is not None
        assert referral.specialty
        assert referral.specialty.text == "Neurology"
        assert [i.value for sheet in referral.documents or () for i in sheet.identifiers or ()] == ["a", "b"]
        [found] = [one for one in (await office.message(changed)).findings if one.code == "document.revision"]
        assert "changed: specialty" in found.detail
        [task] = await office.sorting()
        assert task.reason == "DOCUMENT:revision"
        [difference] = task.task.differences or ()
        assert (difference.field, difference.ours, difference.theirs) == ("specialty", "Cardiology", "Neurology")


async def test_the_old_version_sent_again_after_a_revision_is_a_duplicate_and_takes_nothing_back(spread: Ledger) -> None:
    async with Office(spread) as office:
        for sha, specialty in (("a", "Cardiology"), ("b", "Neurology"), ("c", "Cardiology"), ("d", "Urology")):
            await office.fax(scan(sha, fields={"specialty": specialty}))
            await office.quiet()
        link = (await office.document("c")).duplicate_of
        assert link
        assert link.value == "a"
        referral = await office.referral("a")
        assert referral is not None
        assert referral.specialty
        assert referral.specialty.text == "Urology"
        revised = (await office.document("d")).revision_of
        assert revised
        assert revised.value == "b"


@pytest.mark.parametrize(("field", "value", "sure"), [
    ("diagnoses(0).code", "M75.4I", 400), ("identifiers(type=PLAC).value", "RF-128456", 300)])
async def test_a_doubtful_reading_that_differs_a_little_is_no_change(
        spread: Ledger, field: str, value: str, sure: int) -> None:
    async with Office(spread) as office:
        await office.fax(scan("a"))
        await office.quiet()
        again = await office.fax(scan("b", fields={field: value}, sure={field: sure}))
        await office.quiet()
        assert await office.events(again) == ["document.extracted"]


@pytest.mark.parametrize("fields", [
    {"identifiers(type=PLAC).value": "RF-999999"},
    {"identifiers(type=PLAC).value": "", "specialty": "Urology"},
    {"identifiers(type=PLAC).value": "", "effective_at": "2026-09-01"},
    {"patient.identifiers(type=MR).value": "11111111", "patient.birth_date": "1950-01-01", "coverages(0).member_id": "X1"}])
async def test_another_referral_of_the_same_person_or_form_is_none_of_them(spread: Ledger, fields: dict[str, str]) -> None:
    """A number, a date, a specialty or a person of its own."""
    async with Office(spread) as office:
        await office.fax(scan("a"))
        await office.quiet()
        other = await office.fax(scan("b", fields=fields))
        await office.quiet()
        assert await office.events(other) == ["document.extracted", "referral.received"]
        assert not (await office.message(other)).reason


async def test_a_missing_value_that_comes_with_the_second_fax_revises(spread: Ledger) -> None:
    async with Office(spread) as office:
        await office.fax(scan("a", fields={"coverages(0).member_id": ""}))
        await office.quiet()
        again = await office.fax(scan("b"))
        await office.quiet()
        assert await office.events(again) == ["document.extracted", "referral.revised"]


async def test_a_further_page_revises_and_another_picture_behind_the_form_does_too(spread: Ledger) -> None:
    async with Office(spread) as office:
        await office.fax(scan("a", pages=2, pictures=["00" * 32, "00" * 32]))
        await office.quiet()
        for sha, more in (("b", {"pages": 3, "pictures": ["00" * 32] * 3}),
                          ("c", {"pages": 2, "pictures": ["ff" * 32, "ff" * 32]})):
            again = await office.fax(scan(sha, **more))
            await office.quiet()
            assert await office.events(again) == ["document.extracted", "referral.revised"]


async def test_documents_without_a_picture_are_compared_by_what_they_say(spread: Ledger) -> None:
    """Readings that others made carry no picture of ours."""
    async with Office(spread) as office:
        await office.fax(scan("a"))
        await office.quiet()
        again = await office.fax(scan("b", pictures=[]))
        await office.quiet()
        assert await office.events(again) == ["document.extracted"]


async def test_scans_that_come_in_at_once_are_one_referral(spread: Ledger) -> None:
    """Sixteen partitions, one of them first; each of the others waits until it is committed."""
    async with Office(spread) as office:
        ids = await asyncio.gather(*(office.fax(scan(f"s{n}")) for n in range(12)))
        await office.quiet(60)
        made = [await office.events(one) for one in ids]
        assert sorted(map(len, made)) == [1] * 11 + [2]


async def test_what_was_first_and_is_parked_holds_up_nobody(spread: Ledger) -> None:
    """Invariant 10. When it comes back it is the one that came later."""
    async with Office(spread) as office:
        first = await office.fax(scan("a"), wrong=True)
        await office.quiet()
        second = await office.fax(scan("b"))
        await office.quiet()
        assert (await office.message(first)).state is MessageState.PARKED
        assert await office.events(second) == ["document.extracted", "referral.received"]
        office.translator.fixed.add(first)
        await spread.requeue_messages([first], AuditEntry(at=office.clock.now(), actor="ada", action="x", subject=first))
        office.broker.ring(range(16))
        await office.quiet()
        assert await office.events(first) == ["document.extracted"]


async def test_of_a_fax_of_two_patients_only_the_part_that_came_before_is_left_out(spread: Ledger) -> None:
    """A1.6 and A1.7 together; a fax whose parts all came before has not to be sorted once more."""
    other = {"identifiers(type=PLAC).value": "RF-777777", "patient.identifiers(type=MR).value": "5",
             "patient.birth_date": "1944-01-02", "coverages(0).member_id": "Z9"}
    async with Office(spread) as office:
        await office.fax(scan("a"))
        await office.quiet()
        both = await office.fax(scan("b"), scan("c", fields=other))
        await office.quiet()
        assert await office.events(both) == ["document.extracted", "document.extracted", "document.extracted",
                                             "referral.received"]
        [task] = await office.sorting()
        assert task.reason == "DOCUMENT:split"
        again = await office.fax(scan("d"), scan("e", fields=other))
        await office.quiet()
        assert await office.events(again) == ["document.extracted"] * 3
        assert [one.id for one in await office.sorting()] == [task.id]


async def test_a_person_releases_what_was_taken_for_a_duplicate(spread: Ledger) -> None:
    """It gets a referral of its own, by the one door, and the audit trail names the person."""
    async with Office(spread) as office:
        for sha, lane in (("a", ""), ("b", ""), ("a", "message:other")):
            last = await office.fax(scan(sha), lane=lane)
            await office.quiet()
        linked = await spread.find(MessageQuery(reason="document.duplicate"))
        for message in linked:
            letter, count = await office.releaser.release(message, "ada", "another referral")
            assert count == 1
            await office.quiet()
            assert (await office.message(letter)).channel == TASKS
            assert await office.events(letter) == ["document.reviewed", "referral.received"]
            with pytest.raises(Refusal):
                await office.releaser.release(message, "ada", "once more")
        assert await office.referral("b") is not None
        assert await office.referral(f"a.{last}") is not None
        assert not (await office.document("b")).duplicate_of
        assert [entry.action async for _, entry, _ in spread.audit_trail()] == ["document.released"] * 2
        again = await office.fax(scan("b"), parent=linked[1].id, version=2)  # read again: what the person said stands
        await office.quiet()
        assert "referral.received" in await office.events(again)


async def test_a_person_releases_what_was_taken_for_a_revision_and_the_first_stands_as_before(spread: Ledger) -> None:
    async with Office(spread) as office:
        await office.fax(scan("a"))
        await office.quiet()
        changed = await office.fax(scan("b", fields={"specialty": "Neurology"}))
        await office.quiet()
        await office.releaser.release(await office.message(changed), "ada", "another visit")
        await office.quiet()
        for sha, specialty in (("a", "Cardiology"), ("b", "Neurology")):
            referral = await office.referral(sha)
            assert referral is not None
            assert referral.specialty
            assert referral.specialty.text == specialty
            assert referral.status is ReferralStatus.COMPLETE
        assert await office.sorting() == []
