"""Small rules that every kind of ledger follows in the same way."""

from __future__ import annotations

from typing import Final

from canonical.findings import Finding
from canonical.receipt import Receipt, ReceiptMint, Verdict
from store.partition import partition_of
from store.records import AttemptOutcome, DeliveryState, Message, MessageState, NewMessage, NewTask, StoredTask

#: Attempts that the peer has answered.
ANSWERED: Final = frozenset({AttemptOutcome.DELIVERED, AttemptOutcome.REJECTED})
#: What a person may make of a delivery that waits.
DECIDED: Final = frozenset({DeliveryState.SKIPPED, DeliveryState.SUPERSEDED, DeliveryState.DELIVERED})


def stored(message: NewMessage, seq: int, partitions: int) -> Message:
    """The message as the ledger keeps it: with its place, its partition and at least one lane.

    A message without a key has a lane of its own: it waits for nobody and nobody waits for it. A refused one is
    not known again by its identity: once its cause is mended, the same bytes are a new message.
    """
    lanes = tuple(dict.fromkeys(message.lanes)) or (message.id,)
    return Message(
        id=message.id, channel=message.channel, raw=message.raw, received_at=message.received_at,
        control_id=message.control_id, message_type=message.message_type, sender=message.sender, lanes=lanes,
        charset=message.charset, peer=message.peer, parent_id=message.parent_id,
        dedup=b"" if message.state is MessageState.REFUSED else message.dedup,
        replay_of=message.replay_of, state=message.state, findings=message.findings,
        ack_outcome=message.ack_outcome, seq=seq, partition=partition_of(lanes[0], partitions),
        since=message.received_at, reason=_reason(message))


def _reason(message: NewMessage) -> str:
    """Why a message is born into a state where nothing is done with it: the code of its first finding."""
    if message.state is not MessageState.RECEIVED and message.findings:
        return message.findings[0].code
    return ""


def receipt_for(mint: ReceiptMint, first: Message, verdict: Verdict) -> Receipt:
    """The receipt of a stored message."""
    return receipt(mint, verdict, first.id, first.control_id, first.received_at, first.state, first.findings,
                   first.partition)


def receipt(mint: ReceiptMint, verdict: Verdict, message_id: str, control_id: str, received_at: int,
            state: MessageState, findings: tuple[Finding, ...], home: int = -1) -> Receipt:
    """The receipt of a stored message from its parts; a refused one is refused each time it comes."""
    if state is MessageState.REFUSED:
        finding = findings[0] if findings else None
        return mint.issue(message_id, control_id, received_at, Verdict.REFUSED, finding)
    return mint.issue(message_id, control_id, received_at, verdict, home=home)


#: Outcome of a task whose reason went away by itself.
RESOLVED: Final = "resolved"


def opened(new: NewTask) -> StoredTask:
    """A task as it begins."""
    return StoredTask(**{name: getattr(new, name) for name in NewTask.__struct_fields__}, since=new.created_at)


def urgency(task: StoredTask) -> tuple[int, int, int, str]:
    """What comes first in a list of tasks: see `store.ledger.Desk.tasks`."""
    return -task.priority, task.due_at or 1 << 62, task.created_at, task.id
