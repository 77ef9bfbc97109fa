"""Between records and rows. Column orders are those of `store.sql.statements`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from zlib import compress, decompress

import msgspec

from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.findings import Finding
from canonical.phi import Phi
from canonical.receipt import Receipt, ReceiptMint, Verdict
from store.partition import partition_of
from store.records import (
    AckOutcome,
    Attempt,
    AttemptOutcome,
    Decision,
    Delivery,
    DeliveryState,
    Message,
    MessageState,
    NewDelivery,
    NewMessage,
    Processed,
    Settlement,
    State,
)
from store.retention import closed
from store.rules import receipt, stored

Row = tuple[Any, ...]

_encode: Final = msgspec.json.Encoder().encode
_decode_event: Final = msgspec.json.Decoder(Event).decode
_decode_entity: Final = msgspec.json.Decoder(AnyEntity).decode
_decode_finding: Final = msgspec.json.Decoder(Finding).decode
_decode_findings: Final = msgspec.json.Decoder(tuple[Finding, ...]).decode
_decode_texts: Final = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_body: Final = msgspec.json.Decoder(dict[str, Any]).decode
_decode_files: Final = msgspec.msgpack.Decoder(dict[str, bytes]).decode

_MARK: Final = "\x01"
#: See `store.sql.schema.deliveries`.
_STANDS: Final = {state: 2 if state is DeliveryState.PARKED else int(state.open) for state in DeliveryState}


def text_in(text: str) -> str:
    """Text as every database can hold it.

    What a broken sender writes into a control id may hold NUL (PostgreSQL refuses it) or bytes of no charset
    (which we carry as lone surrogates, and no database takes). Such text is stored in Python's escapes behind a
    mark; JSON's would join two lone surrogates that happen to be neighbours.
    """
    if "\x00" not in text and not text.startswith(_MARK):
        if text.isascii():
            return text
        with suppress(UnicodeEncodeError):
            text.encode()
            return text
    return _MARK + text.encode("unicode_escape").decode("ascii")


def text_out(text: str) -> str:
    """The text that `text_in` was given."""
    return text[1:].encode("ascii").decode("unicode_escape") if text.startswith(_MARK) else text


# -- messages -----------------------------------------------------------------------------------------------


def message_row(message: NewMessage, partitions: int) -> tuple[Row, Message]:
    """The row of a new message but for its `seq`, which comes first, and the record with seq 0."""
    new = stored(message, 0, partitions)
    lanes = tuple(map(text_in, new.lanes))
    return (
        new.id, new.channel, text_in(new.control_id), text_in(new.message_type), text_in(new.sender),
        lanes[0], new.partition, lanes_in(lanes),
        text_in(new.charset), new.dedup or None, text_in(new.peer), new.parent_id, new.replay_of,
        new.received_at, new.state.value, new.since, new.reason, new.ack_outcome.value,
        _encode(new.findings) if new.findings else None,
    ), new


def lanes_in(lanes: tuple[str, ...]) -> bytes | None:
    """The column `lanes`, from `text_in` of each: only where there are several."""
    return _encode(lanes) if len(lanes) > 1 else None


def lanes_out(lane: str, lanes: bytes | None) -> tuple[str, ...]:
    """All lanes as they are stored (`text_out` not yet undone), from the two columns."""
    return (lane,) if lanes is None else _decode_texts(lanes)


def first_receipt(mint: ReceiptMint, row: Row) -> Receipt:
    """What a duplicate gets, from the row of the message that was here before (`Statements.first_by_dedup`)."""
    message_id, control_id, received_at, state, found = row
    return receipt(mint, Verdict.DUPLICATE, message_id, text_out(control_id), received_at, MessageState(state),
                   findings(found))


def message(row: Row) -> Message:
    """From `store.sql.statements.MESSAGE_READ`."""
    (seq, id_, channel, control_id, message_type, sender, lane, partition, lanes, charset, dedup, peer,
     parent_id, replay_of, received_at, state, since, reason, ack_outcome, found, ack_code, revision, raw) = row
    return Message(
        seq=seq, id=id_, channel=channel, control_id=text_out(control_id),
        message_type=text_out(message_type), sender=text_out(sender),
        lanes=tuple(map(text_out, lanes_out(lane, lanes))),
        partition=partition, charset=text_out(charset), dedup=dedup or b"", peer=text_out(peer),
        parent_id=parent_id, replay_of=replay_of, received_at=received_at, state=MessageState(state),
        since=since, reason=reason, ack_outcome=AckOutcome(ack_outcome), findings=findings(found),
        ack_code=ack_code, revision=revision, raw=Phi(raw))


def findings(body: bytes | None) -> tuple[Finding, ...]:
    """From a nullable column."""
    return () if body is None else _decode_findings(body)


# -- what messages set in motion ----------------------------------------------------------------------------


class Prepared(msgspec.Struct, frozen=True):
    """The rows of one `Processed`, encoded before it is queued: a body that cannot be fails alone."""

    seq: int
    move: Row
    events: list[Row]
    decisions: list[Row]
    states: list[Row]
    deliveries: list[Row]
    superseded: list[Row]
    aliases: tuple[tuple[str, str], ...]
    lifts: bool
    messages: list[tuple[Row, Message]]
    looks: list[Row]
    concluded: list[dict[str, Any]]
    merges: list[Row]


def prepared(one: Processed, partitions: int, *, published: bool) -> Prepared:
    """The rows of what one message sets in motion.

    Args:
        published: True where nobody subscribes, so that events need not wait in the outbox.
    """
    seq, at = one.message_seq, one.at
    return Prepared(
        seq,
        (one.state.value, at, one.reason, one.revision, _encode(one.findings) if one.findings else None, seq),
        [(e.id, seq, text_in(e.subject_key), e.version.at, e.version.tie, int(published), _encode(e))
         for e in one.events],
        [(d.event_id, d.id, d.kind, d.at, _encode(d.body)) for d in one.decisions],
        [(text_in(s.subject_key), s.version, s.event_id, text_in(s.patient_key), int(closed(s.entity)),
          _encode(s.entity)) for s in one.states],
        [delivery_row(d, at) for d in one.deliveries],
        [(DeliveryState.SUPERSEDED.value, at, 0, delivery_id) for delivery_id in one.superseded],
        tuple((text_in(old), text_in(new)) for old, new in one.aliases),
        one.fences and one.state is not MessageState.PARKED,
        [message_row(new, partitions) for new in one.messages],
        [(text_in(key), partition_of(key, partitions), at, one.message_id) for key in one.looks],
        [{"its_id": c.delivery_id, "was": c.was.value, "was_reason": c.was_reason, "new_state": c.state.value,
          "new_since": at, "new_reason": c.reason, "new_code": text_in(c.code),
          "new_findings": _encode(c.findings) if c.findings else None, "new_stands": _STANDS[c.state]}
         for c in one.concluded],
        [(text_in(key), event_id, role, text_in(other)) for key, role, other, event_id in one.merges])


def event(body: bytes) -> Event:
    """From its column."""
    return _decode_event(body)


def state(row: Row) -> State:
    """From (subject_key, version, event_id, patient_key, body)."""
    subject_key, version, event_id, patient_key, body = row
    return State(subject_key=text_out(subject_key), version=version, event_id=event_id,
                 patient_key=text_out(patient_key), entity=_decode_entity(body))


def decision(row: Row) -> Decision:
    """From `store.sql.statements.DECISION`."""
    event_id, id_, kind, at, body = row
    return Decision(id=id_, event_id=event_id, kind=kind, at=at, body=_decode_body(body))


# -- deliveries ---------------------------------------------------------------------------------------------


def delivery_row(new: NewDelivery, at: int) -> Row:
    """The row of a planned delivery."""
    return (new.id, new.message_seq, new.event_id, new.destination, text_in(new.lane), new.partition,
            new.priority, new.due_at, new.state.value, at, new.reason, _STANDS[new.state], new.identity)


def delivery(row: Row) -> Delivery:
    """From `store.sql.statements.DELIVERY_READ`."""
    (id_, message_seq, event_id, destination, lane, partition, priority, due_at, is_in, since, reason, identity,
     attempts, code, found) = row
    return Delivery(id=id_, message_seq=message_seq, event_id=event_id, destination=destination,
                    lane=text_out(lane), partition=partition, priority=priority, due_at=due_at,
                    state=DeliveryState(is_in), since=since, reason=reason, identity=identity, attempts=attempts,
                    code=text_out(code), findings=findings(found))


def settlement_row(one: Settlement) -> Row:
    """The row of a settlement."""
    return (one.due_at, one.state.value, one.at, one.reason, one.attempts, text_in(one.code),
            _encode(one.findings) if one.findings else None, _STANDS[one.state], one.delivery_id)


def attempt_row(one: Attempt) -> Row:
    """The row of an attempt."""
    return (one.delivery_id, one.started_at, one.number, one.ended_at, one.outcome.value, text_in(one.code),
            None if one.finding is None else _encode(one.finding),
            None if one.response is None else one.response.reveal())


def attempt(row: Row) -> Attempt:
    """From `store.sql.statements.ATTEMPT`."""
    delivery_id, started_at, number, ended_at, outcome, code, found, response = row
    return Attempt(delivery_id=delivery_id, number=number, started_at=started_at, ended_at=ended_at,
                   outcome=AttemptOutcome(outcome), code=text_out(code),
                   finding=None if found is None else _decode_finding(found),
                   response=None if response is None else Phi(response))


# -- revisions ----------------------------------------------------------------------------------------------


def files_in(files: Mapping[str, bytes]) -> bytes:
    """Files of a revision, compressed."""
    return compress(msgspec.msgpack.encode(dict(files)), 9)


def files_out(body: bytes) -> dict[str, bytes]:
    """The files that `files_in` was given."""
    return _decode_files(decompress(body))
