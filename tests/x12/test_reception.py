"""What a partner sends, against what was agreed with it (X02 to X07)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from connectors.base import Arrival
from connectors.x12.edi import parse
from connectors.x12.partner import Partner
from connectors.x12.reception import Reception
from store.memory import MemoryLedger
from tests.x12.messages import ANSWER, GS, INQUIRY, ISA, a_set, an_interchange

#: As PAYER sends to CLINIC: the other way round than in the samples of what is sent.
ISA_IN = ISA.replace("*ZZ*CLINIC         *ZZ*PAYER          *", "*ZZ*PAYER          *ZZ*CLINIC         *")
GS_IN = GS.replace("GS*HS*CLINIC*PAYER", "GS*HB*PAYER*CLINIC")
PARTNER = Partner(partner="payer", sender="ZZ/PAYER", receiver="ZZ/CLINIC", usage="T", trace_originator="9CLINIC000")


def answered(*traces: str, isa: str = ISA_IN, at: str = "260310*1147") -> bytes:
    """A batch of answers."""
    sets = [a_set(ANSWER.replace("CHECK1", trace), "271", f"{number:04d}") for number, trace in enumerate(traces, 1)]
    return an_interchange(*sets, gs=GS_IN, isa=isa.replace("260310*1147", at))


def reception(*partners: Partner, ledger: MemoryLedger | None = None) -> Reception:
    return Reception(partners or (PARTNER,), ledger or MemoryLedger(partitions=1))


def codes(arrivals: Sequence[Arrival]) -> list[tuple[str, list[str]]]:
    return [(one.park.code if one.park else "", [found.code for found in one.peek.findings]) for one in arrivals]


async def test_each_set_of_what_was_agreed_is_a_message_and_nothing_is_to_be_said() -> None:
    """X10"""
    arrivals = await reception().hear(answered("A1", "A2"))
    assert codes(arrivals) == [("", []), ("", [])]
    assert [one.peek.control_id for one in arrivals] == ["000000907/1/0001", "000000907/1/0002"]


async def test_a_single_set_keeps_its_bytes() -> None:
    raw = answered("A1").replace(b"~", b"~\r\n")
    only, = await reception().hear(raw)
    assert only.raw == raw


@pytest.mark.parametrize(("isa", "code", "place"), [
    (ISA_IN.replace("*0*T*", "*0*P*"), "x12.usage_indicator", "ISA-15"),
    (ISA_IN.replace("PAYER ", "OTHER "), "x12.header_value", "ISA-06"),
    (ISA_IN.replace("CLINIC ", "ELSE   "), "x12.header_value", "ISA-08"),
    (ISA_IN.replace("*00501*", "*00401*"), "x12.header_value", "ISA-12"),
])
async def test_what_was_not_agreed_is_parked_in_a_lane_of_its_own_or_tolerated(isa: str, code: str, place: str) -> None:
    """X03, X06: sender, receiver, ISA15 and version; the partner's profile says what is a warning."""
    arrivals = await reception().hear(answered("A1", "A2", isa=isa))
    assert [one.park.code for one in arrivals if one.park] == [code, code]
    assert {one.park.at for one in arrivals if one.park} == {place}
    assert all(lane.startswith("message:") for one in arrivals for lane in one.peek.lanes)
    tolerant = msgspec.structs.replace(PARTNER, tolerate=frozenset({code}))
    arrivals = await reception(tolerant).hear(answered("A1", isa=isa))
    assert codes(arrivals) == [("", [code])]
    assert arrivals[0].peek.lanes == ("member:842610001|11122333301",)


async def test_a_number_used_before_for_other_content_is_parked_and_told_by_note_025() -> None:
    """X07: also after a restart, since the ledger knows; the same content again, with another time, is none."""
    ledger = MemoryLedger(partitions=1)
    assert codes(await reception(ledger=ledger).hear(answered("A1"))) == [("", [])]
    assert codes(await reception(ledger=ledger).hear(answered("A1", at="260311*0900"))) == [("", [])]
    again = answered("B1")
    assert codes(await reception(ledger=ledger).hear(again)) == [("x12.duplicate_interchange", [])]
    said = parse(await reception(ledger=ledger).acknowledge(again)).interchanges[0]
    ta1 = next(segment for segment in said.segments if segment.id == "TA1")
    assert (ta1.element(1), ta1.element(4), ta1.element(5)) == ("000000907", "R", "025")


async def test_numbers_of_two_partners_are_two_numbers() -> None:
    """X02: unique a pair of sender and receiver."""
    other = msgspec.structs.replace(PARTNER, partner="other", sender="ZZ/OTHER")
    ledger = MemoryLedger(partitions=1)
    for isa in (ISA_IN, ISA_IN.replace("PAYER ", "OTHER ")):
        assert codes(await reception(PARTNER, other, ledger=ledger).hear(answered("A1" + isa[35], isa=isa))) == [("", [])]


async def test_what_is_wrong_with_a_group_is_said_of_each_of_its_messages() -> None:
    """X02: GE01; it does not keep anything from being read."""
    arrivals = await reception().hear(answered("A1", "A2").replace(b"GE*2*", b"GE*3*"))
    assert codes(arrivals) == [("", ["x12.count"])] * 2


async def test_what_is_no_interchange_is_one_message_with_its_finding() -> None:
    assert codes(await reception().hear(b"no X12")) == [("", ["x12.no_header"])]


async def test_without_a_partner_only_numbers_are_looked_at() -> None:
    ledger = MemoryLedger(partitions=1)
    raw = an_interchange(a_set(INQUIRY), gs=GS)
    assert codes(await Reception((), ledger).hear(raw)) == [("", [])]
    assert codes(await Reception((), ledger).hear(raw.replace(b"SMITH", b"SMYTH"))) == [("x12.duplicate_interchange", [])]


async def test_an_acknowledgement_says_what_the_door_said() -> None:
    """4.2: a 999 for a good batch, and nothing for acknowledgements."""
    said = await reception().acknowledge(answered("A1", "A2"))
    assert b"AK9*A*2*2*2" in said
    assert await reception().acknowledge(b"no X12") == b""
    assert await Reception((), MemoryLedger(partitions=1)).acknowledge(said) == b""
