"""The whole contract between the engine and its edges.

A **receiver** turns bytes from a peer into `Submission`s and gives each to `Accept`; what it answers to the
peer depends on the `Receipt` that comes back. A **sender** takes one `Dispatch` and says in one of four words
what became of it. A **codec** knows a format: it peeks, decodes and encodes, and never does I/O.

A connector cannot know what becomes of its bytes: nothing here mentions mappings, routes or storage.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, runtime_checkable

import msgspec

from canonical.findings import Finding
from canonical.phi import Phi
from canonical.query import Acknowledgement
from canonical.receipt import Receipt

# -- in -----------------------------------------------------------------------------------------------------


class Peek(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What can be known of a message without understanding it. Peeking never fails: unknown fields are empty.

    `lanes` are the ordering keys, first one first: a message waits until it is the oldest of each. A key
    names a subject (``patient:ASSIGNER|VALUE``), so it is PHI: it goes into the ledger, never into a log.
    """

    message_type: str = ""
    """``SIU^S12``, ``ADT^A40``, ``270``; empty where it could not be told."""
    control_id: str = ""
    sender: str = ""
    """``APPLICATION|FACILITY`` of the sender, for duplicate detection."""
    lanes: tuple[str, ...] = ()
    processing_id: str = ""
    version: str = ""
    charset: str = ""
    dedup: bytes = b""
    """Hash over sender, control id and the content without its time and control id fields (D01). Empty: this
    message cannot be recognised when it comes again."""
    findings: tuple[Finding, ...] = ()


class Submission(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message as received: what the one door takes."""

    channel: str
    raw: Phi[bytes]
    peek: Peek
    peer: str = ""
    """Address of the peer, or the name of the file: for the audit trail."""
    refusal: Finding | None = None
    """Set where this endpoint does not take such messages: it is stored all the same, as refused."""
    parent_id: str = ""
    """The batch or document it was cut from."""
    record: Finding | None = None
    """Set where it is kept for the record and nothing more is to be done with it: the envelope of a batch, a part
    of a longer message. Says what it is."""
    park: Finding | None = None
    """Set where it cannot be processed and a person must act."""


class Unavailable(Exception):  # noqa: N818 - an answer to the receiver, not an error
    """The ledger cannot commit now. Nothing was stored: answer negatively and transiently (AR/CR, 503)."""


#: The one door. Returns after the commit. Raises `Unavailable`, and nothing else, when it could not.
Accept: TypeAlias = Callable[[Submission], Awaitable[Receipt]]
#: Told what became of the acknowledgement: (receipt, its code or "" where none was owed, given to the socket?).
AckReport: TypeAlias = Callable[[Receipt, str, bool], None]


class Kept(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message that a channel has stored before."""

    message_id: str
    raw: Phi[bytes]
    received_at: int
    """Microseconds since the epoch."""
    refused: bool
    reason: str = ""
    """The finding code it was kept with."""


#: Messages of the channel, newest first: (finding code they were kept with, or "" for any; received since; how many).
Recall: TypeAlias = Callable[[str, int, int], Awaitable[Sequence[Kept]]]


@runtime_checkable
class Resumes(Protocol):
    """A receiver that goes on where a stopped process left off: asked before it is started."""

    async def resume(self, recall: Recall) -> None:
        """Read what it needs to know. Raises `Unavailable`."""
#: Asked after the commit of an accepted message: the whole message that answers it, where it is a question and this
#: site answers; None: the plain acknowledgement will do. Changes nothing, and never raises.
Answer: TypeAlias = Callable[[Submission, Receipt], Awaitable[Phi[bytes] | None]]


class Arrival(msgspec.Struct, frozen=True):
    """One message of a payload that may hold several."""

    raw: bytes
    peek: Peek
    park: Finding | None = None
    """See `Submission.park`."""


#: Cuts a payload into messages and looks at each by what was agreed with its sender. Raises `Unavailable`.
Hear: TypeAlias = Callable[[bytes], Awaitable[Sequence[Arrival]]]


class Numbering(Protocol):
    """The ledger's control numbers (`store.ledger.Numbers`), for receivers that count what they get and what they answer.
    Both raise `Unavailable`."""

    async def number(self, scope: str, holder: str, at: int) -> int:
        """The number of `holder` in a sequence of ours; the same ever after."""

    async def claim(self, scope: str, number: int, holder: str, at: int) -> str:
        """Whose a number of a partner's is: `holder`'s, if nobody had it before."""


class Receiver(Protocol):
    """A listening or polling edge."""

    @property
    def resources(self) -> Sequence[str]:
        """What it holds exclusively: ``tcp:127.0.0.1:2575``, ``dir:/in``. Two channels may not share one."""

    async def start(self) -> None:
        """Acquire the resources and begin. Raises OSError (port in use, no such folder) before any effect."""

    async def stop(self, grace: float) -> None:
        """Stop taking new input, finish what has begun within `grace` seconds, release the resources."""


# -- out ----------------------------------------------------------------------------------------------------


class Dispatch(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One attempt to deliver. A repeated attempt carries the same `identity` and the same bytes."""

    identity: str
    """Stable id of the delivery: MSH-10, Idempotency-Key (invariant 8)."""
    body: Phi[bytes]
    content_type: str
    attributes: Mapping[str, str] = {}
    """What the format adds for the transport: ``url.search`` for a conditional update, and the like."""
    findings: tuple[Finding, ...] = ()
    """What was lost in fitting it to the peer: kept with the delivery."""
    numbering: str = ""
    """The sequence from which it gets a number before it is sent, where its format has numbers that the peer counts
    (X12 ISA13); empty: it is complete."""


class Delivered(msgspec.Struct, frozen=True, gc=False):
    """The peer has it and said so."""

    code: str = ""
    """AA, CA, 201 …"""
    reference: str = ""
    """The peer's own name for it (Location header, MSA-3 …); may be PHI."""
    response: Phi[bytes] | None = None
    """The whole answer where it is worth keeping (it becomes a message of its own through the one door)."""


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """The peer refused, and will refuse again: a person must fix data, code tables or configuration."""

    code: str
    finding: Finding
    channel_wide: bool = False
    """True where every message would be refused (AR 200 to 203, 401): stop the destination, call somebody."""
    response: Phi[bytes] | None = None


class Retry(msgspec.Struct, frozen=True, gc=False):
    """It certainly had no effect (or the peer says: try again); the same attempt may succeed later."""

    code: str
    finding: Finding
    after: float | None = None
    """Seconds the peer asked us to wait (Retry-After)."""
    free: bool = False
    """True where the attempt does not count against the budget (429, the peer is away)."""
    response: Phi[bytes] | None = None


class Unknown(msgspec.Struct, frozen=True, gc=False):
    """Bytes left, no answer came: it may or may not have had its effect (invariant 6)."""

    finding: Finding
    code: str = ""
    after: float | None = None
    """Seconds before which it must not be repeated, where it may be repeated at all."""


Outcome: TypeAlias = Delivered | Rejected | Retry | Unknown


class Sender(Protocol):
    """An edge that delivers. Connects and reconnects by itself; never raises for the peer's faults."""

    async def start(self) -> None:
        """Prepare. Does not need the peer to be there."""

    async def send(self, dispatch: Dispatch) -> Outcome:
        """Deliver once. May be called concurrently up to the connector's ``max_sessions``."""

    async def stop(self, grace: float) -> None:
        """Finish or abandon what is under way within `grace` seconds and close."""


@runtime_checkable
class Concludes(Protocol):
    """A sender whose peer may say by a message of its own what its application makes of a delivery."""

    def conclude(self, said: Acknowledgement) -> Outcome:
        """What it means, as if it had been the answer."""


# -- format -------------------------------------------------------------------------------------------------

W = TypeVar("W")


class Codec(Protocol[W]):
    """Reads and writes one format, losslessly: ``encode(decode(raw)) == raw`` for well-formed input."""

    content_type: str

    def peek(self, raw: bytes) -> Peek:
        """Never raises, whatever the bytes."""

    def decode(self, raw: bytes, charset: str = "") -> W:
        """Raises `canonical.findings.Rejection` with located findings where there is no message at all."""

    def encode(self, wire: W) -> bytes:
        """The bytes of a wire value."""


# -- one spec a connector -----------------------------------------------------------------------------------

S = TypeVar("S", bound=msgspec.Struct)


class ConnectorSpec(msgspec.Struct, Generic[S], frozen=True, kw_only=True):
    """Names a connector and its settings; config validation, JSON Schema and docs all come from it.

    `settings` is a msgspec struct whose fields carry ``Annotated[T, msgspec.Meta(description=…, ge=…)]``;
    names carry units (``timeout_s``, ``max_bytes``); there are no nulls and no sentinel values.
    """

    name: str
    """As written in the configuration: ``mllp``, ``fhir``, ``http``, ``file``."""
    direction: str
    """``in`` or ``out``"""
    summary: str
    settings: type[S]
    build: Callable[..., Any]
    """``in``: ``build(name, settings, accept, ack_report) -> Receiver``;
    ``out``: ``build(name, settings) -> Sender``."""
    answers: bool = False
    """``in``: its receivers can answer a question on the connection that asked; ``build`` takes an `Answer` last."""
    trading: bool = False
    """``in``: its receivers take what trading partners send; ``build`` takes a `connectors.x12.reception.Reception` last."""
    concludes: bool = False
    """``out``: its senders are `Concludes`."""
