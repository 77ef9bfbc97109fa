"""Acknowledgements: from a receipt only, to the letter of the message."""

from __future__ import annotations

import pytest

from canonical.findings import Severity, declare, finding
from canonical.receipt import Receipt, ReceiptMint, Verdict
from connectors.hl7v2 import ack
from connectors.hl7v2.er7 import parse
from connectors.hl7v2.header import Header, read_header
from tests.hl7v2.messages import siu

AT = 1_773_144_900_123_456  # 2026-03-10 12:15:00.123456 UTC
REASON = finding(declare("test.turned_away", Severity.ERROR, "test: no values in here", "none"), at="MSH-11",
                 detail="CANARY would be a mistake")


def receipt(verdict: Verdict = Verdict.ACCEPTED, message_id: str = "0198A") -> Receipt:
    return ReceiptMint().issue(message_id, "MSG00001", AT, verdict)


def header(raw: bytes) -> Header:
    read = read_header(raw)
    assert read is not None
    return read


def test_the_whole_positive_acknowledgement() -> None:
    """A05: all components of MSH-3 to 6 swapped, own MSH-7 and MSH-10, MSH-9 and MSH-11 to the original."""
    assert ack.positive(receipt(), header(siu()), enhanced=False) == (
        rb"MSH|^~\&|DRAGOMAN^7.8^ISO|HUB^9.1^ISO|CADENCE^1.2.3^ISO|MERCY^4.5.6^ISO|20260310121500.1234+0000||"
        rb"ACK^S12^ACK|0198A|P|2.5.1" b"\rMSA|AA|MSG00001\r")


def test_a_refused_message_has_no_positive_acknowledgement() -> None:
    """Invariant 1"""
    with pytest.raises(ValueError, match="refused"):
        ack.positive(receipt(Verdict.REFUSED), header(siu()), enhanced=False)


def test_the_same_receipt_gives_the_same_bytes() -> None:
    """Invariant 7: so a duplicate gets the stored acknowledgement; another message gets another MSH-10."""
    first = ack.positive(receipt(), header(siu()), enhanced=False)
    assert ack.positive(receipt(Verdict.DUPLICATE), header(siu()), enhanced=False) == first
    assert ack.positive(receipt(message_id="0198B"), header(siu()), enhanced=False) != first


def test_long_message_ids_fit_into_msh_10() -> None:
    """A05: at most 20 characters, still different for different messages."""
    one, two = (ack.stamp_of(receipt(message_id="m" * 40 + end)).control_id for end in "ab")
    assert len(one) == len(two) == 20
    assert one != two


@pytest.mark.parametrize(("version", "kind"), [
    ("2.2", "ACK"), ("2.3", "ACK^S12"), ("2.3.1", "ACK^S12"), ("2.4", "ACK^S12^ACK"), ("2.8", "ACK^S12^ACK")])
def test_the_message_type_of_an_acknowledgement_follows_the_version(version: str, kind: str) -> None:
    """A05"""
    answer = parse(ack.positive(receipt(), header(siu(version=version)), enhanced=False))
    assert answer.segments[0].field(9) == kind
    assert answer.segments[0].field(12) == version


def test_the_sender_s_own_delimiters_and_bytes_are_used() -> None:
    """A05: MSA-2 is MSH-10 to the last byte, in the sender's character set."""
    raw = b"MSH#!@%*#A!1#M\xfcnster###20260310##ADT!A08#X|1 \xe9#P#2.5######8859/1\rPID#1\r"
    answer = ack.positive(receipt(), header(raw), enhanced=False)
    assert answer.startswith(b"MSH#!@%*###A!1#M\xfcnster#2026")
    assert b"#ACK!A08!ACK#0198A#P#2.5######8859/1\rMSA#AA#X|1 \xe9\r" in answer


@pytest.mark.parametrize(("code", "condition"), [
    ("receive.processing_id", "202^Unsupported processing id"), ("receive.unsupported_type", "200^Unsupported"),
    ("mllp.no_control_id", "101^Required field missing"), ("mllp.unavailable", "207^Application internal error")])
def test_a_refusal_says_why_in_the_words_of_the_standard(code: str, condition: str) -> None:
    """A07, A09, A10: table 0357, the place, and never a word of ours that could hold a value."""
    import msgspec

    reason = msgspec.structs.replace(REASON, code=code)
    answer = ack.negative(header(siu()), reason, ack.stamp_of(receipt(Verdict.REFUSED)), enhanced=False).decode()
    error = answer.split("\r")[2]
    assert answer.split("\r")[1].startswith("MSA|AR|MSG00001|")
    assert error.startswith(f"ERR||MSH^1^11|{condition}")
    assert "^HL70357|E||||" in error
    assert "CANARY" not in answer


def test_before_2_5_the_error_has_one_field() -> None:
    """A07: ERR-1 holds place and code."""
    answer = ack.negative(header(siu(version="2.3")), REASON, ack.Stamp("X", AT), enhanced=False)
    assert b"\rERR|MSH^1^11^207&Application internal error&HL70357\r" in answer


def test_a_missing_control_id_is_answered_with_an_empty_one() -> None:
    """A06: not with a made-up one."""
    answer = parse(ack.negative(header(siu("")), REASON, ack.Stamp("X", AT), enhanced=False))
    msa = answer.first("MSA")
    assert msa is not None
    assert msa.field(2) == ""


@pytest.mark.parametrize(("accept", "application", "on_success", "on_error"), [
    ("", "", True, True),
    ("AL", "NE", True, True), ("AL", "", True, True), ("NE", "NE", False, False), ("NE", "AL", False, False),
    ("", "AL", False, False), ("ER", "NE", False, True), ("SU", "AL", True, False)])
def test_what_is_owed_follows_the_header(accept: str, application: str, on_success: bool, on_error: bool) -> None:
    """A01, A02: original mode if both fields are empty, else as MSH-15 says."""
    raw = siu(accept=accept, application=application)
    assert ack.is_enhanced(header(raw)) is bool(accept or application)
    assert ack.is_due(header(raw), raw, positive=True) is on_success
    assert ack.is_due(header(raw), raw, positive=False) is on_error


@pytest.mark.parametrize(("code", "accept", "owed"), [
    ("AA", "", False), ("AE", "", False), ("AA", "AL", True), ("CA", "", False), ("CA", "AL", False)])
def test_an_acknowledgement_is_not_acknowledged(code: str, accept: str, owed: bool) -> None:
    """A04: except an application acknowledgement that asks for it; an accept acknowledgement never."""
    raw = rf"MSH|^~\&|A|B|C|D|20260310||ACK^S12^ACK|1|P|2.5|||{accept}|".encode() + f"\rMSA|{code}|9\r".encode()
    assert ack.is_due(header(raw), raw, positive=True) is owed
    assert not ack.is_due(header(b"MSH|^~\\&|||||||ACK|1|P|2.3\r"), b"", positive=True)


def test_an_answer_with_content_is_an_acknowledgement_too() -> None:
    """A04: SRR, RSP carry an MSA."""
    raw = b"MSH|^~\\&|A|B|C|D|20260310||SRR^S01|1|P|2.5\nMSA|AA|9\n"
    assert not ack.is_due(header(raw), raw, positive=True)
    raw = b"MSH|^~\\&|A|B|C|D|20260310||SIU^S12|1|P|2.5\rNTE|1||xMSA|AA|9\r"
    assert ack.is_due(header(raw), raw, positive=True)
