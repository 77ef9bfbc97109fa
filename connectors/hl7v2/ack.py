"""Acknowledgements: the only place that builds them.

A positive one is built from a `Receipt` and nothing else (A03, invariant 1), and from the receipt and the
header alone, so that a repeated message gets the same bytes again (invariant 7).
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from canonical.findings import Finding, Rejection
from canonical.receipt import Receipt
from connectors.hl7v2.escapes import escape
from connectors.hl7v2.header import Header


class Condition(NamedTuple):
    """What the peer is told for a finding: a row of table 0357."""

    code: str
    words: str
    content: bool = False
    """True where the message itself is wrong and will be refused whenever it comes: AE or CE, not AR or CR (A09)."""


#: By the code of a finding. Others are 207, which says: try again.
CONDITIONS: Final[dict[str, Condition]] = {
    "mllp.no_control_id": Condition("101", "Required field missing"),
    "hl7.sequence_missing": Condition("101", "Required field missing", content=True),
    "receive.unsupported_type": Condition("200", "Unsupported message type"),
    "receive.processing_id": Condition("202", "Unsupported processing id"),
    # Permanent: 207 would have the peer send it for ever. 104 (v2.8) is the only row that says why.
    "mllp.frame_too_large": Condition("104", "Value too long", content=True),
    "hl7.message_too_large": Condition("104", "Value too long", content=True),
    "hl7.batch_count": Condition("100", "Segment sequence error", content=True),
    "profile.required": Condition("101", "Required field missing", content=True),
    "profile.segment": Condition("100", "Segment sequence error", content=True),
    "profile.cardinality": Condition("100", "Segment sequence error", content=True),
    "profile.length": Condition("104", "Value too long", content=True),
    "profile.table": Condition("103", "Table value not found", content=True),
    "profile.shape": Condition("102", "Data type error", content=True),
    "profile.not_agreed": Condition("102", "Data type error", content=True),
    "hl7.fragments_too_large": Condition("104", "Value too long", content=True),
}
_INTERNAL: Final = Condition("207", "Application internal error")
_DATA: Final = Condition("102", "Data type error")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE: Final = re.compile(r"([A-Z][A-Z0-9]{2})-(\d+)\Z")


class Stamp(NamedTuple):
    """What makes one acknowledgement different from another."""

    control_id: str
    """MSH-10, at most 20 characters."""
    at: int
    """MSH-7: microseconds since the epoch (UTC)."""


def stamp_of(receipt: Receipt) -> Stamp:
    """The stamp of the acknowledgement that belongs to a receipt: always the same."""
    name = receipt.message_id
    if len(name) > 20:
        name = hashlib.blake2b(name.encode(), digest_size=10).hexdigest()
    return Stamp(name, receipt.received_at)


def is_enhanced(header: Header) -> bool:
    """Whether the sender asked for enhanced mode: MSH-15 or MSH-16 is valued (A01, A02)."""
    return bool(header.field(15) or header.field(16))


def is_due(header: Header, raw: bytes, *, positive: bool) -> bool:
    """Whether the sender of a message is owed an answer on this connection now.

    Original mode: always, except to an answer (A04). Enhanced mode: the accept acknowledgement as MSH-15
    says (AL, NE, ER, SU; empty counts as NE), also for an application acknowledgement that asks for one.
    An accept acknowledgement is never answered, whatever it says.
    """
    code = answers(header, raw)
    if is_enhanced(header) and not code.startswith(b"C"):
        return header.component(15, 1) in {b"AL", b"SU" if positive else b"ER"}
    return not code


def answers(header: Header, raw: bytes) -> bytes:
    """MSA-1 of a message that is itself an answer; empty for one that answers nothing."""
    separator = header.marks.field
    at = raw.find(b"MSA" + separator, header.end)
    if at < 0 or raw[at - 1] not in b"\r\n":
        return b"?" if header.component(9, 1) == b"ACK" else b""
    return raw[at:at + 16].split(separator)[1].strip() or b"?"


def positive(receipt: Receipt, header: Header, *, enhanced: bool, expected: int | None = None) -> bytes:
    """AA, or CA in enhanced mode. `expected`: MSA-4, where the link is numbered (S01).

    Raises:
        ValueError: the receipt is of a refused message.
    """
    if not receipt.positive:
        raise ValueError("a refused message has no positive acknowledgement")
    return _build(header, stamp_of(receipt), b"CA" if enhanced else b"AA", None, expected)


def code_for(reason: Finding, *, enhanced: bool) -> str:
    """MSA-1 of a refusal: AE where the content will never do; AR for unsupported or transient (A09); CE, CR."""
    wrong = CONDITIONS.get(reason.code, _INTERNAL).content
    return ("C" if enhanced else "A") + ("E" if wrong else "R")


def negative(header: Header, reason: Finding, stamp: Stamp, *, enhanced: bool, expected: int | None = None) -> bytes:
    """The refusal (see `code_for`). Says code and place, never a value (A07)."""
    return _build(header, stamp, code_for(reason, enhanced=enhanced).encode(), reason, expected)


def is_application_due(header: Header, raw: bytes, *, positive: bool) -> bool:
    """Whether the sender of a message asked for an application acknowledgement (MSH-16, A02); never for an answer (A04).
    """
    return not answers(header, raw) and header.component(16, 1) in {b"AL", b"SU" if positive else b"ER"}


def application(receipt_id: str, at: int, header: Header, reason: Finding | None, *, confirm: bool) -> bytes:
    """The application acknowledgement of enhanced mode, a message of its own (A02): AA, or AE with its reason.

    Args:
        receipt_id: of the message acknowledged: the same one is always acknowledged by the same bytes.
        at: when it was processed, microseconds since the epoch.
        header: of the message.
        reason: why it could not be processed; None if it was.
        confirm: ask for an accept acknowledgement of this one (A04).
    """
    stamp = Stamp(hashlib.blake2b(b"application\r" + receipt_id.encode(), digest_size=10).hexdigest(), at)
    answer = _build(header, stamp, b"AA" if reason is None else b"AE", reason, content=True)
    separator = header.marks.field
    msh, rest = answer.split(b"\r", 1)
    fields = msh.split(separator)
    fields += [b""] * (16 - len(fields))
    fields[14], fields[15] = b"AL" if confirm else b"NE", b"NE"
    return separator.join(fields) + b"\r" + rest


def _condition(reason: Finding, *, content: bool) -> Condition:
    """The row of table 0357. Of what could not be processed, 207 would be the wrong one: it asks to try again."""
    known = CONDITIONS.get(reason.code)
    if known is not None or not content:
        return known or _INTERNAL
    if reason.code.startswith("code."):
        return Condition("103", "Table value not found")
    return Condition("101", "Required field missing") if reason.code == "map.required" else _DATA


def _build(header: Header, stamp: Stamp, code: bytes, reason: Finding | None, expected: int | None = None, *,
           content: bool = False) -> bytes:
    # Everything that comes from the message is copied as raw bytes under the message's own delimiters: all
    # components of MSH-3 to MSH-6 (A05), MSH-10 to the last byte, whatever the character set.
    f, c = header.marks.field, header.marks.component
    field = header.field
    version = header.component(12, 1)
    event = header.component(9, 2)
    kind = b"ACK"
    if event and c and version >= b"2.3":
        kind = c.join((b"ACK", event, b"ACK") if version >= b"2.4" else (b"ACK", event))
    time = (_EPOCH + timedelta(microseconds=stamp.at)).strftime("%Y%m%d%H%M%S.%f")[:-2] + "+0000"
    msh = [b"MSH", header.fields[1], field(5), field(6), field(3), field(4), time.encode("ascii"), b"", kind,
           stamp.control_id.encode("ascii", "replace"), field(11), field(12) or b"2.5.1"]
    if field(18):
        msh += [b"", b"", b"", b"", b"", field(18)]
    segments = [f.join(msh), f.join((b"MSA", code, field(10)))]
    if reason is not None:
        modern = version >= b"2.5" or not version
        number, words, _ = _condition(reason, content=content)
        text = _plain(words, header)
        if version < b"2.7":
            segments[1] += f + text
        elif expected is not None:
            segments[1] += f
        place = _PLACE.match(reason.at)
        location = [place[1].encode(), b"1", place[2].encode()] if place else []
        if modern:
            segments.append(f.join((b"ERR", b"", c.join(location), c.join((number.encode(), text, b"HL70357")),
                                    b"E", b"", b"", b"", text)))
        else:
            coded = header.marks.subcomponent.join((number.encode(), text, b"HL70357"))
            segments.append(f.join((b"ERR", c.join((*(location or (b"", b"", b"")), coded)))))
    elif expected is not None:
        segments[1] += f
    if expected is not None:
        segments[1] += f + b"%d" % expected
    return b"\r".join((*segments, b""))


def _plain(text: str, header: Header) -> bytes:
    try:
        return escape(text, header.delimiters).encode("latin-1")
    except Rejection:  # delimiters without escape character, one of which the text holds
        return b""
