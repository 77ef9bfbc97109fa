"""The CORE envelope in its three wire forms (X16)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.phi import Phi
from connectors.core import form, rest, soap
from connectors.core.envelope import REAL_TIME, SUBMIT, Envelope, NoEnvelope, Operation, checksum, payload_id

_NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["Cc", "Cs", "Zs"]), min_size=1,
                 max_size=20)


def _envelope(payload: bytes | None, *, batch: bool = False, sender: str = "NORTHGATE") -> Envelope:
    return Envelope(
        payload_type="X12_270_Request_005010X279A1", processing_mode="Batch" if batch else "RealTime",
        payload_id=payload_id("d-1"), timestamp="2026-03-02T07:00:00Z", sender_id=sender, receiver_id="ACME",
        rule_version="2.2.0", payload=None if payload is None else Phi(payload),
        payload_length=len(payload) if batch and payload is not None else None,
        checksum=checksum(payload) if batch and payload is not None else "")


def _soap(envelope: Envelope, operation: Operation, *, mtom: bool = False) -> Envelope:
    return soap.parse(*soap.write(envelope, operation, operation.request, "clinic", "s3cret", mtom=mtom))


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1), _NAMES)
def test_a_real_time_envelope_survives_every_wire_form(payload: str, sender: str) -> None:
    """X16: CDATA, a MIME part, base64 in JSON."""
    envelope = _envelope(payload.encode(), sender=sender)
    assert _soap(envelope, REAL_TIME) == envelope
    assert form.parse(*form.write(envelope, "clinic", "s3cret")) == envelope
    assert rest.parse(rest.write(envelope)[1]) == envelope


@given(st.binary(min_size=1))
def test_a_batch_keeps_every_byte_of_its_payload(payload: bytes) -> None:
    """X16: length and checksum prove it."""
    envelope = _envelope(payload, batch=True)
    for read in (_soap(envelope, SUBMIT), _soap(envelope, SUBMIT, mtom=True),
                 form.parse(*form.write(envelope)), rest.parse(rest.write(envelope)[1])):
        assert read == envelope
        assert read.intact()


def test_a_payload_that_was_changed_on_the_way_is_seen() -> None:
    """X16: SHA-1 and length of batches."""
    good = _envelope(b"ISA*one", batch=True)
    assert good.intact()
    assert not msgspec.structs.replace(good, payload=Phi(b"ISA*two")).intact()
    assert not msgspec.structs.replace(good, payload=Phi(b"ISA*one ")).intact()


def test_a_repeated_delivery_has_the_same_payload_id() -> None:
    """Invariant 8"""
    assert payload_id("d-1") == payload_id("d-1") != payload_id("d-2")


@pytest.mark.parametrize("body", [
    b"", b"<html/>", b"<a", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body/></s:Envelope>',
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><x/></s:Body></s:Envelope>'])
def test_what_is_no_soap_envelope_is_refused_with_its_place(body: bytes) -> None:
    """Z15: no DTD, no entity; and no value in the text."""
    with pytest.raises(NoEnvelope):
        soap.parse("application/soap+xml", body)


def test_a_document_type_is_refused_even_around_a_good_envelope() -> None:
    """Z15"""
    kind, body = soap.write(_envelope(b"ISA"), REAL_TIME, REAL_TIME.request)
    with pytest.raises(NoEnvelope, match="document type"):
        soap.parse(kind, body.replace(b"?>\n", b"?>\n<!DOCTYPE x>\n", 1))


def test_a_soap_fault_is_told_by_its_code_and_never_by_its_text() -> None:
    """Invariant 12"""
    fault = (b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code>'
             b"<s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text>CANARY</s:Text></s:Reason></s:Fault>"
             b"</s:Body></s:Envelope>")
    with pytest.raises(NoEnvelope) as caught:
        soap.parse("application/soap+xml", fault)
    assert caught.value.place == "soap:Fault Receiver"


@given(st.binary(max_size=300))
def test_no_bytes_break_a_reader(body: bytes) -> None:
    """The payer's faults are verdicts, not exceptions of another kind."""
    readings: tuple[Callable[[], Envelope], ...] = (
        lambda: soap.parse("application/soap+xml", body), lambda: rest.parse(body),
        lambda: form.parse('multipart/form-data; boundary="x"', b"--x\r\n" + body + b"\r\n--x--"),
        lambda: soap.parse('multipart/related; boundary="x"', b"--x\r\n\r\n" + body + b"\r\n--x--"))
    for reading in readings:
        with suppress(NoEnvelope):
            reading()


def test_an_error_code_that_is_a_sentence_is_not_shown() -> None:
    """Invariant 12: the peer's words stay in the ledger."""
    good = _envelope(None)
    assert msgspec.structs.replace(good, error_code="SenderIDIllegal").error == "SenderIDIllegal"
    assert "CANARY" not in msgspec.structs.replace(good, error_code="no such member CANARY 1980").error
    assert msgspec.structs.replace(good, error_code="Success").error == ""
