"""A SOAP client of somebody else, and the schema, judge our envelopes (X16)."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any, Final

import zeep
import zeep.wsse.username
from lxml import etree

from canonical.phi import Phi
from connectors.core import soap
from connectors.core.envelope import REAL_TIME, SUBMIT, Envelope, Operation, checksum
from simulators.payer import Payer
from tests.core.messages import inquiry

WSDL: Final = Path(__file__).parent / "corerule.wsdl"


def _call(url: str, operation: str, user: str, password: str, **fields: Any) -> Any:
    soap_client: Any = zeep  # it has no types
    client = soap_client.Client(str(WSDL), wsse=soap_client.wsse.username.UsernameToken(user, password))
    service = client.create_service("{http://www.caqh.org/SOAP/WSDL/}COREBinding", url)
    return getattr(service, operation)(TimeStamp="2026-03-02T07:00:00Z", SenderID="NORTHGATE", ReceiverID="ACME",
                                       CORERuleVersion="2.2.0", PayloadID="8d0a5a0c-5a7b-4b0c-9a5e-c0de00270271",
                                       PayloadType="X12_270_Request_005010X279A1", **fields)


async def test_zeep_asks_the_payer_in_real_time() -> None:
    """WS-Security, text payload, SOAP 1.2."""
    async with Payer(user="clinic", password="s3cret") as payer:
        said = await asyncio.to_thread(_call, payer.url, "RealTimeTransaction", "clinic", "s3cret",
                                       ProcessingMode="RealTime", Payload=inquiry(1).decode())
        refused = await asyncio.to_thread(_call, payer.url, "RealTimeTransaction", "clinic", "wrong",
                                          ProcessingMode="RealTime", Payload=inquiry(1).decode())
    assert said.ErrorCode == "Success"
    assert said.PayloadType == "X12_271_Response_005010X279A1"
    assert said.Payload.startswith("ISA")
    assert refused.ErrorCode == "UnAuthorized"


async def test_zeep_submits_a_batch() -> None:
    """base64 payload with length and SHA-1."""
    body = inquiry(1) + inquiry(2)
    async with Payer() as payer:
        said = await asyncio.to_thread(
            _call, payer.url, "BatchSubmitTransaction", "u", "p", ProcessingMode="Batch", Payload=body,
            PayloadLength=len(body), CheckSum=hashlib.sha1(body, usedforsecurity=False).hexdigest())
        wrong = await asyncio.to_thread(
            _call, payer.url, "BatchSubmitTransaction", "u", "p", ProcessingMode="Batch", Payload=body,
            PayloadLength=len(body), CheckSum="0" * 40)
    assert said.ErrorCode == "Success"
    assert wrong.ErrorCode == "ChecksumMismatched"
    assert len(payer.results) == 2


def test_our_envelopes_are_valid_by_the_schema() -> None:
    """Order and names of the elements, as the rule's schema has them."""
    written = etree.parse(WSDL).find(".//{http://www.w3.org/2001/XMLSchema}schema")
    assert written is not None
    schema = etree.XMLSchema(written)
    payload = inquiry(1)
    for operation, batch in ((REAL_TIME, False), (SUBMIT, True)):
        for element in (operation.request, operation.response):
            answer = element == operation.response
            envelope = Envelope(
                payload_type="X12_270_Request_005010X279A1", processing_mode=operation.mode, payload_id="1",
                timestamp="2026-03-02T07:00:00Z", sender_id="A", receiver_id="B", rule_version="2.2.0",
                payload=Phi(payload), payload_length=len(payload) if batch else None,
                checksum=checksum(payload) if batch else "", error_code="Success" if answer else "",
                error_message="None" if answer else "")
            schema.assertValid(_body(envelope, operation, element))


def _body(envelope: Envelope, operation: Operation, element: str) -> Any:
    _, xml = soap.write(envelope, operation, element, "clinic", "s3cret")
    return etree.fromstring(xml).find(f"{{{soap.SOAP}}}Body/*")
