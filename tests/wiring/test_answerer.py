"""Questions over MLLP, answered on the connection that asked, from what a ledger knows."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from canonical import schema
from canonical.entities import AnyEntity
from canonical.keys import identifier_key, patient_key
from canonical.model import Appointment, Patient, Slot
from connectors.hl7v2 import er7
from connectors.hl7v2.receiver import MllpReceiver
from connectors.hl7v2.settings import MllpIn
from router.site import Answering, Channel
from store.memory import MemoryLedger
from store.records import State
from tests.conformance.door import Door
from tests.hl7v2.mllp import raw_client
from tests.mappings import tables
from tests.store.messages import accepted, event, lease, processed
from wiring.answerer import Answerer

CHANNEL = Channel(
    connector="mllp",
    mapping={"QBP^Q22": "hl7v2/qbp_q22", "QBP^Q21": "hl7v2/qbp_q21", "SQM": "hl7v2/sqm", "MFN^M02": "hl7v2/mfn_staff",
             "SIU": "hl7v2/siu"},
    answers={"QBP^Q22": Answering(write="hl7v2/rsp_k22"), "QBP^Q21": Answering(write="hl7v2/rsp_k21"),
             "SQM": Answering(write="hl7v2/sqr"), "MFN": Answering(read="hl7v2/mfn_records", write="hl7v2/mfk")},
    answer_limit=3)

MSH = "MSH|^~\\&|PORTAL^1.2.3^ISO|EAST|DRAGOMAN|HUB|20260310120000-0500||{kind}|{number}|P|2.5.1"


def person(number: str, family: str, given: str, born: str, assigner: str = "MERCY") -> Patient:
    return schema.from_json(msgspec.json.encode({
        "entity": "Patient", "identifiers": [{"value": number, "assigner": assigner, "type": "MR"},
                                             {"value": f"S{number}", "assigner": "SSA", "type": "SS"}],
        "names": [{"family": family, "given": [given]}], "birth_date": born, "sex": "female"}), Patient)


def visit(number: str, start: str, doctor: str, family: str = "Nowak") -> Appointment:
    return schema.from_json(msgspec.json.encode({
        "entity": "Appointment", "identifiers": [{"value": number, "assigner": "MERCY", "type": "FILL"}],
        "status": "booked", "start": f"2026-03-{start}-05:00",
        "patient": {"entity": "Patient", "identifiers": [{"value": "1", "assigner": "MERCY", "type": "MR"}],
                    "names": [{"family": family}]},
        "participants": [{"kind": "practitioner", "who": {"identifiers": [{"value": doctor}]}}]}), Appointment)


def slot(number: str, start: str, doctor: str, status: str = "free") -> Slot:
    return schema.from_json(msgspec.json.encode({
        "entity": "Slot", "identifiers": [{"value": number, "assigner": "MERCY", "type": "FILL"}], "status": status,
        "start": f"2026-03-{start}-05:00", "end": f"2026-03-{start}-05:00",
        "participants": [{"kind": "practitioner", "who": {"identifiers": [{"value": doctor}]}}]}), Slot)


PEOPLE: list[AnyEntity] = [person("1", "Nowak", "Anna", "1980-02-29"), person("2", "Novák", "Eva", "1990"),
          person("3", "Nowak", "Berta", "1975-01-02"), person("4", "NOWAK", "Carla", "1975-07-02"),
          person("5", "Nowakowska", "Dana", "2001-01-02", "HARBOR"), person("6", "Nowak", "Ella", "1975-12-24")]
SCHEDULE: list[AnyEntity] = [visit("V1", "11T09:00:00", "DR1"), visit("V2", "12T09:00:00", "DR1"),
            visit("V3", "11T10:00:00", "DR2"), slot("F1", "11T11:00:00", "DR1"), slot("F2", "12T11:00:00", "DR1"),
            slot("B1", "11T12:00:00", "DR1", "busy-unavailable")]


def key_of(entity: AnyEntity) -> str:
    if isinstance(entity, Patient):
        return patient_key(entity.identifiers)
    assert isinstance(entity, Appointment | Slot)
    return identifier_key(type(entity).__name__.lower(), (entity.identifiers or ())[0])


async def a_ledger(*entities: AnyEntity, aliases: tuple[tuple[str, str], ...] = ()) -> MemoryLedger:
    ledger = MemoryLedger(partitions=1)
    await ledger.start()
    for number, entity in enumerate(entities, 1):
        stored = await accepted(ledger, number)
        one = event(number, key_of(entity))
        await ledger.commit(await lease(ledger), [processed(stored, aliases=aliases, states=(State(
            subject_key=key_of(entity), version=one.version.at, event_id=one.id, entity=entity),))])
    return ledger


class Asker:
    """A client that asks and takes the answer apart."""

    def __init__(self, ledger: MemoryLedger, port: int) -> None:
        self.ledger = ledger
        self._port = port

    async def ask(self, kind: str, *lines: str, number: str = "Q1") -> er7.Message:
        async with raw_client(self._port) as client:
            await client.send("\r".join((MSH.format(kind=kind, number=number), *lines, "")).encode())
            return er7.parse(await client.answer())


@contextlib.asynccontextmanager
async def asking(*entities: AnyEntity, aliases: tuple[tuple[str, str], ...] = (),
                 channel: Channel = CHANNEL) -> AsyncIterator[Asker]:
    door, ledger = Door(), await a_ledger(*entities, aliases=aliases)
    answerer = Answerer("portal", channel, tables.library(), ledger, FixedClock())
    receiver = MllpReceiver("portal", MllpIn(port=0), door.accept, door.report, answerer.answer)
    await receiver.start()
    try:
        yield Asker(ledger, receiver.port)
    finally:
        await receiver.stop(1.0)


class FixedClock:
    def now(self) -> int:
        return 1_773_144_900_000_000

    def monotonic(self) -> float:
        return 0.0


def said(message: er7.Message, segment: str, field: int) -> list[str]:
    return [each.field(field) for each in message.all(segment)]


async def test_candidates_are_found_by_name_and_the_question_comes_back_to_the_letter() -> None:
    """QBP^Q22: MSH swapped with all components (A05), MSA-2, QAK and QPD as the standard wants them."""
    question = "QPD|Q22^Find Candidates^HL70471|T-7|@PID.5.1^nowak~@PID.5.2^ANNA||||^|^^^MERCY"
    async with asking(*PEOPLE) as asker:
        answer = await asker.ask("QBP^Q22^QBP_Q21", question, "RCP|I|10^RD")
        header = answer.segments[0]
        assert header.field(9) == "RSP^K22^RSP_K22"
        assert [header.field(n) for n in (3, 4, 5, 6)] == ["DRAGOMAN", "HUB", "PORTAL^1.2.3^ISO", "EAST"]
        assert [said(answer, "MSA", n) for n in (1, 2)] == [["AA"], ["Q1"]]
        assert [said(answer, "QAK", n) for n in (1, 2, 4, 5, 6)] == [["T-7"], ["OK"], ["1"], ["1"], ["0"]]
        assert answer.first("QPD") is not None
        assert answer.first("QPD").text == question  # type: ignore[union-attr]  # asserted above
        assert said(answer, "PID", 5) == ["Nowak^Anna"]


async def test_only_identifiers_of_the_domains_asked_for_are_told() -> None:
    """QPD-8: a person without an identifier there is not told of at all."""
    async with asking(*PEOPLE) as asker:
        answer = await asker.ask("QBP^Q22^QBP_Q21", "QPD|Q22|T|@PID.5.1^Nowak*||||^|^^^HARBOR", "RCP|I")
    assert said(answer, "PID", 3) == ["5^^^HARBOR^MR"]


async def test_many_candidates_come_a_page_at_a_time_and_none_twice() -> None:
    """RCP-2 and the limit of the channel; DSC-1 goes on where the page ended, and says nothing about the record."""
    async with asking(*PEOPLE) as asker:
        first = await asker.ask("QBP^Q22^QBP_Q21", "QPD|Q22|T|@PID.5.1^Nowak", "RCP|I|50^RD")
        (pointer,) = said(first, "DSC", 1)
        assert [said(first, "QAK", n) for n in (4, 5, 6)] == [["4"], ["3"], ["1"]]
        assert "MERCY" not in pointer
        rest = await asker.ask("QBP^Q22^QBP_Q21", "QPD|Q22|T|@PID.5.1^Nowak", "RCP|I|50^RD", f"DSC|{pointer}|I", number="Q2")
    assert rest.first("DSC") is None
    assert sorted(said(first, "PID", 5) + said(rest, "PID", 5)) == ["NOWAK^Carla", "Nowak^Anna", "Nowak^Berta",
                                                                   "Nowak^Ella"]


async def test_nobody_found_is_an_answer() -> None:
    async with asking(*PEOPLE) as asker:
        answer = await asker.ask("QBP^Q22^QBP_Q21", "QPD|Q22|T|@PID.5.1^Nobody", "RCP|I")
    assert (said(answer, "MSA", 1), said(answer, "QAK", 2), answer.first("PID")) == (["AA"], ["NF"], None)


@pytest.mark.parametrize(("lines", "condition", "place"), [
    (["QPD|Q22|T|@PID.5.1^Nowak~@PID.99^x", "RCP|I"], "103", "QPD^1^3^2"),
    (["QPD|Q22|T|@PID.5.1^", "RCP|I"], "101", "QPD^1^3^1"),
    (["QPD|Q22|T", "RCP|I"], "101", "QPD^1^3"),
    (["QPD|Q22|T|@PID.5.1^Nowak", "RCP|I|10^LI"], "102", "RCP^1^2"),
    (["QPD|Q22|T|@PID.5.1^Nowak", "RCP|I", "DSC|unknown"], "204", "DSC^1^1"),
    (["QPD|Q22|", "RCP|I"], "101", ""),
])
async def test_a_criterion_that_is_not_understood_is_refused_never_passed_over(
        lines: list[str], condition: str, place: str) -> None:
    """A07: the answer says where and why, and tells of nobody."""
    async with asking(*PEOPLE) as asker:
        answer = await asker.ask("QBP^Q22^QBP_Q21", *lines)
    assert (said(answer, "MSA", 1), said(answer, "QAK", 2)) == (["AE"], ["AE"])
    assert [each.partition("^")[0] for each in said(answer, "ERR", 3)] == [condition]
    assert said(answer, "ERR", 2) == [place]
    assert answer.first("PID") is None


async def test_demographics_of_an_old_number_are_those_of_the_survivor() -> None:
    """QBP^Q21; A40 before: the record given up is not told of."""
    async with asking(*PEOPLE, aliases=(("patient:MERCY|3", "patient:MERCY|1"),)) as asker:
        answer = await asker.ask("QBP^Q21^QBP_Q21", "QPD|Q21|T|3^^^MERCY^MR", "RCP|I")
        assert said(answer, "MSH", 9) == ["RSP^K21^RSP_K21"]
        assert said(answer, "PID", 5) == ["Nowak^Anna"]
        everybody = await asker.ask("QBP^Q22^QBP_Q21", "QPD|Q22|T|@PID.5.1^Nowak", "RCP|I", number="Q2")
    assert "Nowak^Berta" not in said(everybody, "PID", 5)


@pytest.mark.parametrize(("subject", "found"), [
    ("SAL", ["V1", "F1", "B1"]), ("SOP", ["F1"]), ("SBK", ["V1"]), ("SBL", ["B1"]), ("SOF", ["F1"])])
async def test_a_schedule_query_finds_what_is_booked_and_what_is_free(subject: str, found: list[str]) -> None:
    """SQM^S25: of one doctor on one day, in the order of time."""
    async with asking(*SCHEDULE) as asker:
        answer = await asker.ask(
            "SQM^S25^SQM_S25", f"QRD|20260310|R|I|S-1|||10^RD||{subject}^x^HL70048", "QRF||20260311|20260311",
            "ARQ|P-1", "RGS|1", "AIP|1||DR1^Okafor")
    # the placer's number is that of the request to come: no filter
    assert [each.partition("^")[0] for each in said(answer, "SCH", 2)] == found


async def test_a_schedule_query_without_a_number_of_its_own_finds_the_day_of_a_doctor() -> None:
    async with asking(*SCHEDULE) as asker:
        answer = await asker.ask("SQM^S25^SQM_S25", "QRD|20260310|R|I|S-1|||10^RD||SAL", "QRF||20260311|20260311",
                                 "ARQ|", "RGS|1", "AIP|1||DR1^Okafor")
    assert answer.segments[0].field(9) == "SQR^S25^SQR_S25"
    assert [each.partition("^")[0] for each in said(answer, "SCH", 2)] == ["V1", "F1", "B1"]
    assert said(answer, "SCH", 25) == ["Booked", "Open", "Blocked"]
    assert said(answer, "PID", 5) == ["Nowak"]


async def test_a_master_file_is_answered_record_by_record() -> None:
    """MFN^M02 with MFI-6 AL: MFK, in the same exchange."""
    async with asking() as asker:
        answer = await asker.ask(
            "MFN^M02^MFN_M02", "MFI|PRA^Practitioners^HL70175||UPD|||AL", "MFE|MAD|R1|20260401|D1^Okafor^L|CE",
            "STF|D1^Okafor^L|7^^^MERCY^EI|Okafor^Ada", "MFE|MDC|R2||D2^Brandt^L|CE", "STF|D2^Brandt^L||Brandt^Uwe")
    assert answer.segments[0].field(9) == "MFK^M02^MFK_M01"
    assert [said(answer, "MFA", n) for n in (1, 2, 5)] == [["MAD", "MDC"], ["R1", "R2"], ["D1^Okafor^L", "D2^Brandt^L"]]
    assert [each.partition("^")[0] for each in said(answer, "MFA", 4)] == ["S", "S"]


@pytest.mark.parametrize(("level", "records"), [("NE", None), ("ER", ["U"]), ("SU", [])])
async def test_a_master_file_that_is_not_understood_says_so_as_far_as_it_is_wanted(
        level: str, records: list[str] | None) -> None:
    """MFI-6; the second record has no key, so the message waits for a person."""
    async with asking() as asker:
        answer = await asker.ask("MFN^M02^MFN_M02", f"MFI|PRA||UPD|||{level}", "MFE|MUP|R1||D1|CE", "STF||7")
    if records is None:
        assert answer.segments[0].field(9) == "ACK^M02^ACK"
        return
    assert [each.partition("^")[0] for each in said(answer, "MFA", 4)] == records
    assert said(answer, "MSA", 1) == ["AE"]


async def test_what_is_no_question_gets_the_plain_acknowledgement() -> None:
    async with asking() as asker:
        answer = await asker.ask("SIU^S12^SIU_S12", "SCH||F1")
    assert answer.segments[0].field(9) == "ACK^S12^ACK"


async def test_in_enhanced_mode_the_accept_acknowledgement_comes_first() -> None:
    """A02: MSH-15 AL, MSH-16 AL: CA, then the answer."""
    async with asking(*PEOPLE) as asker, raw_client(asker._port) as client:
        await client.send("\r".join((MSH.format(kind="QBP^Q22^QBP_Q21", number="Q1") + "|||AL|AL",
                                     "QPD|Q22|T|@PID.5.1^Nowak*", "RCP|I", "")).encode())
        assert b"MSA|CA|Q1" in await client.answer()
        assert b"RSP^K22" in await client.answer()


async def test_what_was_told_is_in_the_audit_trail_by_number_and_never_by_name() -> None:
    """Invariant 12."""
    async with asking(*PEOPLE) as asker:
        await asker.ask("QBP^Q22^QBP_Q21", "QPD|Q22|T|@PID.5.1^Nowak", "RCP|I|2^RD")
        entries = [entry async for _, entry, _ in asker.ledger.audit_trail()]
    (entry,) = entries
    assert (entry.action, entry.actor) == ("question.answered", "channel portal")
    assert entry.detail == {"about": "candidates", "status": "OK", "told": 2, "found": 4}


async def test_a_question_that_takes_too_long_is_refused_as_too_broad() -> None:
    channel = msgspec.structs.replace(CHANNEL, answer_deadline_s=1e-9)
    async with asking(*PEOPLE, channel=channel) as asker:
        answer = await asker.ask("QBP^Q22^QBP_Q21", "QPD|Q22|T|@PID.5.1^Nowak", "RCP|I")
    assert said(answer, "QAK", 2) == ["AE"]
    assert [each.partition("^")[0] for each in said(answer, "ERR", 3)] == ["207"]
