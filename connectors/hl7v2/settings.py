"""Settings of the MLLP connectors. Defaults are safe for a hospital interface on one machine."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from connectors.hl7v2.batch import BatchCounts
from connectors.hl7v2.continuation import Continuation
from connectors.hl7v2.disposition import DispositionRule
from connectors.hl7v2.fit import Fit
from connectors.hl7v2.tls import TlsClient, TlsServer

__all__ = ["AckMode", "MllpIn", "MllpOut", "TlsClient", "TlsServer"]

Port = Annotated[int, Meta(ge=0, le=65535, description="TCP port. 0 takes a free one.")]


class AckMode(StrEnum):
    """How messages that arrive are acknowledged."""

    HEADER = "header"
    """As MSH-15 and MSH-16 of each message say (original or enhanced mode)."""
    ORIGINAL = "original"
    """Always AA or AR at once, for partners whose headers do not mean what they say."""


class MllpOut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An MLLP peer that messages are sent to."""

    port: Port
    host: Annotated[str, Meta(description="Name or address of the peer.")] = "127.0.0.1"
    tls: Annotated[TlsClient | UnsetType, Meta(description="TLS; default plain TCP.")] = UNSET
    max_sessions: Annotated[int, Meta(ge=1, le=256, description="Connections; each has one message in flight."
                                      )] = 1
    connect_timeout_s: Annotated[float, Meta(gt=0, description="Time for a connection to open.")] = 10.0
    ack_timeout_s: Annotated[float, Meta(gt=0, description="Time for the acknowledgement to come.")] = 30.0
    keep_open: Annotated[bool, Meta(description="Use a connection for many messages; false: for one, where the "
                                                "peer closes it after each answer.")] = True
    idle_close_s: Annotated[float, Meta(
        gt=0, description="A connection not used for so long is opened anew, because something between may "
                          "have dropped it.")] = 60.0
    reconnect_min_s: Annotated[float, Meta(gt=0, description="First pause after a failed connection.")] = 0.5
    reconnect_max_s: Annotated[float, Meta(gt=0, description="Longest pause between attempts.")] = 30.0
    keep_alive_s: Annotated[int, Meta(ge=1, description="After so much silence TCP asks whether the peer is still "
                                                        "there.")] = 60
    max_rate_per_s: Annotated[float, Meta(gt=0, description="Messages a second at most.")] = 100_000.0
    max_ack_bytes: Annotated[int, Meta(ge=1024, description="Largest answer read.")] = 1024 * 1024
    commit_bytes: Annotated[bool, Meta(description="MLLP release 2: the peer sends commit bytes (06 or 15) "
                                                   "before the HL7 acknowledgement. Where the message asks for no "
                                                   "accept acknowledgement (MSH-15 NE), they are the answer."
                                                   )] = False
    fit: Annotated[Fit, Meta(description="What the partner can take (HL7 v2 messages).")] = Fit()
    sequence: Annotated[bool, Meta(description="Number the messages in MSH-13 (sequence number protocol). Needs "
                                               "max_sessions 1, and one process that delivers.")] = False
    dispositions: Annotated[tuple[DispositionRule, ...], Meta(
        description="What this partner's negative answers mean; these rows come before the defaults.")] = ()

    def __post_init__(self) -> None:
        if self.sequence and self.max_sessions > 1:
            raise ValueError("sequence needs max_sessions 1: numbers are one stream")


class Parked(StrEnum):
    """When a message that is parked gets its application acknowledgement."""

    WAIT = "wait"
    """When a person has mended it (AA) or discarded it (AE): its sender need not do anything."""
    ERROR = "error"
    """At once, AE: its sender is to mend it and send it again."""


class ApplicationAck(MllpOut, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Application acknowledgements, each a message that this side sends after processing."""

    when_parked: Annotated[Parked, Meta(description="What is said of a message that waits for a person.")] = Parked.WAIT
    confirm: Annotated[bool, Meta(description="Ask for an accept acknowledgement of each (MSH-15 AL); false: it counts "
                                              "as delivered when it is written.")] = True
    give_up_s: Annotated[float, Meta(gt=0, description="Messages older than this are no longer acknowledged.")] = 86400.0


class MllpIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An MLLP port that takes HL7 v2 messages."""

    port: Port
    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    tls: Annotated[TlsServer | UnsetType, Meta(description="TLS; default plain TCP.")] = UNSET
    max_bytes: Annotated[int, Meta(ge=1024, description="Largest message taken.")] = 16 * 1024 * 1024
    max_connections: Annotated[int, Meta(ge=1, description="More are closed at once.")] = 256
    max_in_flight: Annotated[int, Meta(ge=1, description="Messages of one connection being stored at a time; "
                                                         "then reading pauses.")] = 64
    idle_timeout_s: Annotated[float, Meta(gt=0, description="A silent connection is closed.")] = 3600.0
    frame_timeout_s: Annotated[float, Meta(gt=0, description="A frame must be complete within this.")] = 60.0
    keep_alive_s: Annotated[int, Meta(ge=1, description="After so much silence TCP asks whether the peer is still "
                                                        "there.")] = 60
    strict_end: Annotated[bool, Meta(description="Frames end with 1C 0D only; false: with 1C.")] = True
    commit_bytes: Annotated[bool, Meta(description="MLLP release 2: send a commit acknowledgement (06 or 15) "
                                                   "before the HL7 one.")] = False
    sequence: Annotated[bool, Meta(description="The sender numbers its messages in MSH-13 (sequence number protocol): a "
                                               "gap is refused until what is missing has come, a number that was taken "
                                               "before is acknowledged and not processed.")] = False
    batch_counts: BatchCounts = "flag"
    continuation: Annotated[Continuation, Meta(description="Messages that come in parts.")] = Continuation()
    ack_mode: Annotated[AckMode, Meta(description="How messages are acknowledged.")] = AckMode.HEADER
    application_ack: Annotated[ApplicationAck | UnsetType, Meta(
        description="Where application acknowledgements of enhanced mode go (MSH-16): a connection that this side "
                    "opens. Default: none are sent.")] = UNSET
