"""Messages of ours: what rules and people say enters by the same door as what partners say.

A command, an answer of a person, an event that must be processed elsewhere: each is a message with raw bytes that are
committed first (a letter: JSON, its events complete), in the lane of what it is about, and read by no table. So it is
in order, visible, replayable and accounted for like any other. Its id is made of what it is, and the ledger knows an
id once: that is what makes a command happen once.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from canonical.event import Basis, Event, Source, Version
from canonical.findings import Finding, Rejection, Severity, declare, finding
from canonical.phi import Phi
from router.flow_config import TASKS, WORKFLOW
from router.translate import Translation
from store.records import AckOutcome, Message, NewMessage
from workflow.case import OURS, Command, number, ours

CHANNELS: Final = frozenset({WORKFLOW, TASKS})
#: Revision of events that no table has made.
REVISION: Final = "internal"
#: Events that rules and people make.
EVENTS: Final = frozenset({
    "eligibility.requested", "eligibility.sent", "eligibility.answered", "eligibility.failed", "eligibility.closed",
    "authorization.submitted", "authorization.sent", "authorization.failed",
    "referral.completed", "referral.revised", "document.reviewed",
    "task.opened", "task.cancelled", "task.overdue", "task.completed"})
LETTER: Final = declare(
    "flow.letter", Severity.FATAL, "A message of ours cannot be read.",
    "Report it: the ledger holds what no release of Dragoman has written.")
FORWARDED: Final = declare(
    "flow.forwarded", Severity.INFO, "The message speaks of something that has a lane of its own.",
    "Nothing to do: the path goes on with the message that is named.")


class Letter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The content of a message of ours."""

    says: tuple[Event, ...]
    by: str = ""
    """The person; empty where a rule says it."""
    rule: str = ""
    task: str = ""
    """Id of the task that is answered."""
    forwards: str = ""
    """Id of the message that said it first."""


_decode: Final = msgspec.json.Decoder(Letter).decode


def open_letter(raw: bytes) -> Letter:
    """The content of a message of ours.

    Raises:
        Rejection: it is none.
    """
    try:
        return _decode(raw)
    except msgspec.MsgspecError:
        raise Rejection(finding(LETTER)) from None


def read(message: Message) -> Translation:
    """What a message of ours says: no table is needed for it. Raises `Rejection`."""
    letter = open_letter(message.raw.reveal())
    return Translation(events=letter.says, revision=REVISION)


def message(message_id: str, letter: Letter, lane: str, now: int, *, channel: str = WORKFLOW,
            parent_id: str = "") -> NewMessage:
    """A letter on its way into the ledger."""
    kind = letter.says[-1].type if letter.says else ""
    return NewMessage(
        id=message_id, channel=channel, raw=Phi(msgspec.json.encode(letter)), received_at=now,
        message_type=kind, sender=OURS, lanes=(lane,), dedup=message_id.encode(), parent_id=parent_id,
        ack_outcome=AckOutcome.NOT_OWED)


def event(message_id: str, place: int, of: Command, now: int, *, patient_key: str = "", channel: str = WORKFLOW,
          by: str = "") -> Event:
    """A command as the event that it is."""
    at = str(of.early - 1) if of.early else stamp(now)
    return Event(
        id=f"{message_id}.{place}", type=of.event, subject_key=of.subject_key, entity=of.entity,
        version=Version(at=at, tie=message_id, basis=Basis.EVENT_TIME),
        source=Source(channel=channel, system=OURS, facility=by, control_id=message_id, message_type=of.event),
        message_id=message_id, occurred_at=iso(now), received_at=now, revision=REVISION, patient_key=patient_key)


def asked(subject_key: str) -> str:
    """Id of the message with which a question was asked."""
    return number("asked", subject_key).lower()


def command(of: Command, lane: str, now: int, *, patient_key: str = "", rule: str = "") -> NewMessage:
    """A command as the message that it is: the same effect is the same message."""
    message_id = number(*of.effect).lower()
    said = event(message_id, 0, of, now, patient_key=patient_key)
    return message(message_id, Letter(says=(said,), rule=rule), lane, now)


def home(subject_key: str) -> str:
    """The lane in which something of ours is worked, whoever speaks of it; empty where messages bring their own."""
    return subject_key if ours(subject_key) else ""


def forwarded(event_id: str) -> str:
    """Id of the message with which an event goes on in a lane of its own."""
    return number("forward", event_id).lower()


def at_home(of: Message, read_: Translation) -> tuple[Translation, tuple[NewMessage, ...]]:
    """What a message says that may be processed where it stands, and messages of ours for what may not.

    Everything about one question is processed in one lane: an answer that came in a batch of many, or by another
    channel than it was asked, is sent on to where the question was asked.
    """
    away = [one for one in read_.events if ours(one.subject_key) and one.subject_key not in of.lanes]
    if not away:
        return read_, ()
    gone = {one.id for one in away}
    sent = tuple(
        message(forwarded(one.id), Letter(says=(one,), forwards=of.id), one.subject_key,
                of.received_at, channel=of.channel if of.channel in CHANNELS else WORKFLOW, parent_id=of.id)
        for one in away)
    noted: tuple[Finding, ...] = tuple(finding(FORWARDED, detail=f"goes on as {one.id}") for one in sent)
    kept = tuple(one for one in read_.events if one.id not in gone)
    return msgspec.structs.replace(read_, events=kept, findings=(*read_.findings, *noted)), sent


def iso(micros: int) -> str:
    """RFC 3339 in UTC."""
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat(timespec="seconds")


def stamp(micros: int) -> str:
    """A moment as the versions of events are written (`canonical.event.Version.at`)."""
    return datetime.fromtimestamp(micros / 1e6, UTC).strftime("%Y%m%d%H%M%S.%f")
