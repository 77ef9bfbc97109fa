"""A payer: eligibility (270/271) and authorisation (278) in the CORE envelope, real time and batch.

Every member is active and every service certified, unless a fault says otherwise. The envelope of the answer is
that of the question: SOAP (also MTOM), MIME or REST.

Fault kinds beside those of `simulators.http`: ``inactive``; ``aaa:CODE`` or ``aaa:CODE-FOLLOW``: a 271 or
278 with that AAA03 (and AAA04);
``ta1:NOTE`` and ``reject``: the interchange (TA1) or the set (999) is rejected; ``envelope:CODE``: the CORE envelope is;
``duplicate``: the answer comes, and again in the batch results; ``later``: nothing comes in time, the answer is
in the batch results; ``hcr:CODE``: a 278 decision (A1 A2 A3 A4 A6 C CT NA), with a twist: ``A4-documents`` asks for
them, ``A6-units``, ``A6-date``, ``A6-provider`` certify other than what was asked for; A2 certifies the first service alone.
A pended case (A4) is decided by `Payer.decide`.

A batch is acknowledged (999, or TA1 where ``ta1`` rejects it) by what can be fetched, and what was not rejected is answered
in the batch results.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Final

import msgspec
from multidict import CIMultiDict

from canonical.phi import Phi
from connectors.core import form, rest, soap
from connectors.core.envelope import OPERATIONS, REAL_TIME, RESULTS, Envelope, NoEnvelope, Operation, checksum
from simulators.faults import Fault, Plan
from simulators.http import HttpPartner, Reply
from simulators.x12 import ACTIVE, INACTIVE, Request, Writer, requests

_GUIDE_271: Final = "005010X279A1"
_GUIDE_278: Final = "005010X217"
#: Benefits of an active member beside the plan itself: copay, coinsurance, deductible and what is left of it.
_BENEFITS: Final = ("EB*B*IND*98***27*25*****W", "EB*A*IND*98*****.2***Y*Y", "EB*C*IND*30***23*1500",
                    "EB*C*IND*30***29*620.5")


class Case(msgspec.Struct):
    """An authorisation as the payer knows it."""

    request: Request
    decision: str
    number: str


class Payer(HttpPartner):
    """``async with Payer() as payer``: then ``payer.url``, ``payer.sink``, ``payer.plan``, ``payer.cases``.

    `user` and `password`: what the envelope must hold; empty: anybody is let in.
    """

    content_type = "application/soap+xml"
    base_path = "/core"
    own_faults = frozenset({"inactive", "aaa", "ta1", "reject", "envelope", "duplicate", "later", "hcr"})

    def __init__(self, port: int = 0, *, plan: Plan | None = None, keep: bool = True, token: str = "",
                 user: str = "", password: str = "") -> None:
        super().__init__(port, plan=plan, keep=keep, token=token)
        self._login = (user, password)
        self._writer = Writer()
        self._answers: dict[str, bytes] = {}
        """By payload id: a repeated question gets the same answer and is asked once."""
        self.results: list[bytes] = []
        """What waits to be fetched, oldest first."""
        self.receipts: list[bytes] = []
        """999 and TA1 of batches that wait to be fetched, oldest first. Nobody confirms them: each is told once."""
        self._offered: dict[str, bytes] = {}
        self.confirmed: list[str] = []
        """Payload ids of results that were confirmed."""
        self.cases: dict[str, Case] = {}
        """Authorisations by trace number."""
        self.member_id = "W1"
        """Of whoever is found without a number."""
        self.acknowledgements: list[bytes] = []
        """What the submitter said of our results."""

    @property
    def answers(self) -> list[bytes]:
        """What it has answered in real time, whether it was heard or not, oldest first."""
        return [answer for answer in self._answers.values() if answer]

    def decide(self, trace: str, decision: str) -> None:
        """The pended case has been decided: the answer can be fetched."""
        case = self.cases[trace]
        case.decision = decision
        self.results.append(self._answer_278(case.request, Fault("hcr", decision)))

    # -- HTTP and envelope --------------------------------------------------------------------------------

    def handle(self, method: str, path: str, headers: CIMultiDict[str], body: bytes) -> Reply:
        """One exchange of the rule."""
        content_type = headers.get("Content-Type", "")
        try:
            operation, asked, login, kind = _opened(content_type, body)
        except NoEnvelope as wrong:
            return Reply(400, f"not a CORE envelope: {wrong.place}".encode(), {"Content-Type": "text/plain"})
        fault = self.fault
        if self._login[0] and login != self._login:
            said = _reply_to(asked, "CoreEnvelopeError", None, error="UnAuthorized")
        elif fault is not None and fault.kind == "envelope":
            said = _reply_to(asked, "CoreEnvelopeError", None, error=fault.argument or "SenderIDIllegal")
        elif not asked.intact():
            said = _reply_to(asked, "CoreEnvelopeError", None, error="ChecksumMismatched")
        else:
            try:
                said = self._serve_operation(operation, asked, fault)
            except (ValueError, IndexError):
                said = _reply_to(asked, "CoreEnvelopeError", None, error="PayloadIllegal")
        return _wrapped(kind, operation, said)

    def error(self, status: int, detail: str) -> Reply:
        """A page of the web server: what a payer's gateway says when it fails."""
        return Reply(status, f"<html><body>{status} {detail}</body></html>".encode(), {"Content-Type": "text/html"})

    def _serve_operation(self, operation: Operation, asked: Envelope, fault: Fault | None) -> Envelope:
        payload = asked.payload.reveal() if asked.payload is not None else b""
        if operation is REAL_TIME:
            return self._real_time(asked, payload, fault)
        if operation is RESULTS:
            return self._next_result(asked)
        if operation.name.startswith("BatchSubmitTransaction"):
            again = asked.payload_id in self._answers
            self.sink.record(asked.payload_id, asked.payload_type, payload, effect=not again)
            if not again:
                self._answers[asked.payload_id] = b""
                self.take(payload, fault)
            return _reply_to(asked, "X12_BatchReceiptConfirmation", None)
        if operation.name.startswith("BatchResultsAck"):
            self.acknowledgements.append(payload)
            self.confirmed += list(self._offered)
            self._offered = {}
            return _reply_to(asked, "X12_Response_ConfirmReceiptReceived", None)
        return self._next_receipt(asked)

    def take(self, payload: bytes, fault: Fault | None = None) -> None:
        """A batch has come, by whatever way: its acknowledgements and answers can be fetched now."""
        kind = fault.kind if fault is not None else ""
        groups: dict[tuple[str, str], list[Request]] = {}
        for each in requests(payload):
            groups.setdefault((each.isa[13], each.gs[6]), []).append(each)
        for sets in groups.values():
            if kind == "ta1" and fault is not None:
                self.receipts.append(self._writer.ta1(sets[0], fault.argument or "025"))
                continue
            self.receipts.append(self._writer.ack999(sets, rejected=kind == "reject"))
            if kind != "reject":
                self.results += [self._answer(each, fault) for each in sets]

    def _next_receipt(self, asked: Envelope) -> Envelope:
        """The oldest acknowledgement of the kind that is asked for."""
        wanted = "TA1" if "_TA1_" in asked.payload_type else "999" if "_999_" in asked.payload_type else ""
        for place, receipt in enumerate(self.receipts):
            kind = _type_of(receipt)
            if wanted in kind:
                del self.receipts[place]
                return _reply_to(asked, kind, receipt, payload_id=str(uuid.uuid4()))
        return _reply_to(asked, "X12_005010_Response_NoBatchAckFile", None)

    def _real_time(self, asked: Envelope, payload: bytes, fault: Fault | None) -> Envelope:
        kind = fault.kind if fault else ""
        again = asked.payload_id in self._answers
        sets = requests(payload)
        trace = sets[0].value("TRN", 2) if sets else ""
        self.sink.record(asked.payload_id, trace, payload, effect=not again)
        if not again:
            self._answers[asked.payload_id] = self._first_answer(sets, fault)
        answer = self._answers[asked.payload_id]
        if kind in {"duplicate", "later"}:
            self.results.append(answer)
        if kind == "later":
            return _reply_to(asked, "CoreEnvelopeError", None, error="Receiver")
        return _reply_to(asked, _type_of(answer), answer)

    def _next_result(self, asked: Envelope) -> Envelope:
        """The oldest payload that was not confirmed yet: offered again until it is."""
        if not self._offered and self.results:
            self._offered[str(uuid.uuid4())] = self.results.pop(0)
        if not self._offered:
            return _reply_to(asked, "X12_005010_Response_NoBatchResultsFile", None)
        (payload_id, payload), = self._offered.items()
        return _reply_to(asked, _type_of(payload), payload, payload_id=payload_id)

    # -- X12 ----------------------------------------------------------------------------------------------

    def _first_answer(self, sets: list[Request], fault: Fault | None) -> bytes:
        if fault is not None and fault.kind == "ta1":
            return self._writer.ta1(sets[0], fault.argument or "025")
        if fault is not None and fault.kind == "reject":
            return self._writer.ack999(sets, rejected=True)
        return self._answer(sets[0], fault)

    def _answer(self, request: Request, fault: Fault | None) -> bytes:
        return self._answer_278(request, fault) if request.set_id == "278" else self._answer_271(request, fault)

    def _answer_271(self, request: Request, fault: Fault | None) -> bytes:
        kind = fault.kind if fault else ""
        own = list(request.all("TRN", "1"))
        names = [segment for segment in request.all("NM1")]
        payer = next((n for n in names if n[1] in {"PR", "X3"}), ["NM1", "PR", "2"])
        provider = next((n for n in names if n[1] in {"1P", "FA"}), ["NM1", "1P", "2"])
        member = next((n for n in names if n[1] == "IL"), ["NM1", "IL", "1"])
        dependent = next((n for n in names if n[1] == "03"), None)
        code, _, follow_up = (fault.argument if fault is not None and kind == "aaa" else "").partition("-")
        refusal = [f"AAA*N**{code or '75'}*{follow_up or 'C'}"] if kind == "aaa" else []

        def at(*codes: str) -> list[str]:
            """The refusal, where the guide has its code."""
            return refusal if code in codes else []

        segments = [f"BHT*0022*11*{request.value('BHT', 3)}*{datetime.now(UTC):%Y%m%d*%H%M}",
                    "HL*1**20*1", *at("04", "42"), "*".join(payer), *at("80", "T4"),
                    "HL*2*1*21*1", "*".join(provider), *at("41", "43", "44", "45", "46", "47", "48", "50", "51", "79")]
        told = any(segment.startswith("AAA") for segment in segments)
        person = ["HL*3*2*22*0"] if dependent is None else ["HL*3*2*22*1", "*".join(member), "HL*4*3*23*0"]
        person += [f"TRN*2*{t[2]}*{t[3] if len(t) > 3 else ''}".rstrip("*") for t in own]
        segments += [*person, "*".join(dependent or self._known_as(member))]
        if refusal:
            segments += [] if told else refusal
        else:
            segments += ["*".join(s) for s in request.all("DMG")][-1:]
            day = request.value("DTP", 3, "291") or f"{datetime.now(UTC):%Y%m%d}"
            segments.append(f"DTP*346*D8*{day[:4]}0101")
            asked = [eq[1] for eq in request.all("EQ")] or ["30"]
            if kind == "inactive":
                segments.append(f"EB*{INACTIVE}**{asked[0]}")
            else:
                segments += [f"EB*{ACTIVE}*IND*30**GOLD PPO", *_BENEFITS]
                segments += [f"EB*{ACTIVE}*IND*{service}" for service in asked if service != "30"]
        return self._writer.answer(request, "HB", _GUIDE_271, [("271", segments)])

    def _known_as(self, member: list[str]) -> list[str]:
        """A member as the payer knows them, with the number that was not asked with."""
        whole = [*member, *[""] * (10 - len(member))]
        if not whole[9]:
            whole[8:10] = ["MI", self.member_id]
        return whole

    def _answer_278(self, request: Request, fault: Fault | None) -> bytes:
        decision, _, twist = (fault.argument if fault is not None and fault.kind == "hcr" else "A1").partition("-")
        trace = request.value("TRN", 2)
        number = f"AUTH{len(self.cases) + 1:06d}" if trace not in self.cases else self.cases[trace].number
        self.cases[trace] = Case(request, decision, number)
        segments = [f"BHT*0007*11*{request.value('BHT', 3)}*{datetime.now(UTC):%Y%m%d*%H%M}"]
        refusal: list[list[str]] = []
        if fault is not None and fault.kind == "aaa":
            code, _, follow_up = fault.argument.partition("-")
            refusal = [["AAA", "N", "", code or "15", follow_up or "C"]]
        day = (request.value("DTP", 3, "AAH") or f"{datetime.now(UTC):%Y%m%d}")[:8]
        certified, service = decision in {"A1", "A2", "A6"}, 0
        for asked in request.segments[2:-1]:
            segment = ["TRN", "2", *asked[2:]] if asked[0] == "TRN" else asked
            if segment[0] == "HL" and segment[3] == "SS":
                service += 1
                if service == 1 and twist == "documents":
                    segments.append("PWK*M1*EL***AC*LOOKUP1")
            segments.append("*".join(segment))
            if segment[0] == "UM" and not service:
                if refusal:
                    segments += ["*".join(one) for one in refusal]
                elif certified:
                    segments.append(f"HCR*{decision}*{number}")
                else:
                    segments.append(f"HCR*{decision}*{number if decision == 'A4' else ''}*0V".rstrip("*"))
            elif segment[:2] == ["DTP", "AAH"] and certified:
                segments.append(f"DTP*007*RD8*{day[:6]}01-{day[:6]}28")
            elif segment[0] == "TRN" and service and decision in {"A2", "A6"}:
                denied = decision == "A2" and service > 1
                segments.append("HCR*A3**0V" if denied else f"HCR*{'A1' if decision == 'A2' else decision}*{number}")
                if twist == "date":
                    segments.append("DTP*472*RD8*20991201-20991231")
            elif segment[0] == "HSD" and service and twist == "units":
                segments[-1] = f"HSD*{segment[1]}*0.5"
            if segment[0] == "HSD" and service and twist == "provider":
                segments.append("NM1*SJ*1*OTHER*DOC****XX*1999999984")
        if twist == "documents" and not service:
            segments.append("PWK*M1*EL***AC*LOOKUP1")
        return self._writer.answer(request, "HI", _GUIDE_278, [("278", segments)])


def _type_of(payload: bytes) -> str:
    if b"TA1" in payload[100:140]:
        return "X12_TA1_Response_00501X231A1"
    first = requests(payload)[0]
    return f"X12_{first.set_id}_Response_{first.gs[8]}"


def _opened(content_type: str, body: bytes) -> tuple[Operation, Envelope, tuple[str, str], str]:
    kind = content_type.split(";", maxsplit=1)[0].strip().lower()
    if kind == "multipart/form-data":
        parts = form.unpack(content_type, body)
        login = (parts.get("UserName", b"").decode(), parts.get("Password", b"").decode())
        asked = form.parse(content_type, body)
        return _operation(asked), asked, login, "mime"
    if kind == "application/json":
        asked = rest.parse(body)
        return _operation(asked), asked, ("", ""), "rest"
    element, asked, login = soap.opened(content_type, body)
    operation = next((o for o in OPERATIONS if o.request == element), None)
    if operation is None:
        raise NoEnvelope("a response where a request should be")
    return operation, asked, login, "soap"


def _operation(asked: Envelope) -> Operation:
    """MIME and REST name no operation: the payload type does."""
    if asked.processing_mode == "RealTime":
        return REAL_TIME
    kind = asked.payload_type
    if "Request_Batch_Results" in kind:
        return RESULTS
    names = {"SubmissionRequest": "BatchResultsAckSubmitTransaction",
             "RetrievalRequest": "BatchSubmitAckRetrievalTransaction",
             "Request_Batch_Ack": "BatchSubmitAckRetrievalTransaction"}
    name = next((name for mark, name in names.items() if mark in kind), "BatchSubmitTransaction")
    return next(o for o in OPERATIONS if o.name == name)


def _reply_to(asked: Envelope, payload_type: str, payload: bytes | None, *, error: str = "",
              payload_id: str = "") -> Envelope:
    batch = asked.processing_mode == "Batch" and payload is not None
    return Envelope(
        payload_type=payload_type, processing_mode=asked.processing_mode or "RealTime",
        payload_id=payload_id or asked.payload_id, timestamp=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        sender_id=asked.receiver_id, receiver_id=asked.sender_id, rule_version=asked.rule_version,
        payload=Phi(payload) if payload is not None else None,
        payload_length=len(payload) if batch and payload is not None else None,
        checksum=checksum(payload) if batch and payload is not None else "",
        error_code=error or "Success", error_message="the simulated payer refuses" if error else "None")


def _wrapped(kind: str, operation: Operation, said: Envelope) -> Reply:
    if kind == "mime":
        content_type, body = form.write(said)
    elif kind == "rest":
        content_type, body = rest.write(said)
    else:
        content_type, body = soap.write(said, operation, operation.response)
    return Reply(200, body, {"Content-Type": content_type})
