"""A trading partner as its companion guide describes it, and messages made ready for it (X03, X06 to X09, X22).

A table says what a message says; the partner's profile says how it is addressed, in which letters, and under whose
number. What is finished here is complete but for its control number, which is reserved when the message is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import UNSET, UnsetType

from canonical.findings import Rejection
from connectors.x12.build import Stamp, conform, seal, sequence
from connectors.x12.edi import Interchange, Message, parse
from connectors.x12.hours import BatchHours, Downtime, away_until
from connectors.x12.judge import judge
from connectors.x12.problem import Problem
from connectors.x12.profile import ANYBODY, Profile

_Meta = msgspec.Meta
_ADDRESS: Final = r"^[0-9A-Z]{2}/\S(.{0,13}\S)?$"


#: What of a member may be sent to find them. Never a social security number: no table writes one (minimum necessary).
Sought = Literal["member", "name", "birth_date", "sex", "group"]


class Partner(Profile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file ``mappings/partners/NAME.yaml``."""

    partner: Annotated[str, _Meta(description="Its name: that of the file")]
    sender: Annotated[str, _Meta(
        pattern=_ADDRESS, description="The partner: ISA05/ISA06 of what it sends, `ZZ/PAYER`; ISA07/ISA08 of what it gets")]
    receiver: Annotated[str, _Meta(
        pattern=_ADDRESS, description="We, as the partner knows us: ISA05/ISA06 of what we send, `ZZ/CLINIC`")]
    sender_application: Annotated[str, _Meta(
        max_length=15, description="The partner in GS03 of what it gets; empty: as in ISA08")] = ""
    receiver_application: Annotated[str, _Meta(
        max_length=15, description="We in GS02 of what we send; empty: as in ISA06")] = ""
    payer_qualifier: Annotated[str, _Meta(
        description="What kind of number the payer's is: NM108 of the payer, `PI` or `XV`")] = "PI"
    trace_originator: Annotated[str, _Meta(
        pattern=r"^[139]\S{9}$", description="TRN03: who gave the trace number. Ten characters: 1 and the tax number, "
                                             "3 and the D-U-N-S number, or 9 and what was agreed")]
    search: Annotated[tuple[tuple[Sought, ...], ...], _Meta(
        description="By what it finds a member, best first: the first that we know enough for, and the next where nobody or "
                    "several are found (X21). Nothing else of the member is sent")] = ()
    own_numbers: Annotated[bool, _Meta(
        description="Every insured person has a member number of their own: the patient is then always asked for as the "
                    "subscriber (X20)")] = False
    days_ahead: Annotated[int, _Meta(
        ge=0, le=3660, description="How many days ahead it says whether somebody is insured; for later visits it is asked "
                                   "when it is time (X25). 0: as far as one likes")] = 0
    timezone: Annotated[str, _Meta(description="Where its times of day are: `America/New_York`")] = "UTC"
    downtime: Annotated[tuple[Downtime, ...], _Meta(
        description="When it has said that it does not work: nothing is sent then, and what waits goes out afterwards")] = ()
    batch: Annotated[BatchHours | UnsetType, _Meta(
        description="By when its batches are acknowledged and answered; without, nobody counts the hours")] = UNSET
    values: Annotated[dict[str, str], _Meta(
        description="Further values for $NAME in the tables of this partner")] = msgspec.field(
            default_factory=dict)

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("timezone: there is no such zone") from None

    @property
    def zone(self) -> ZoneInfo:
        """Of its times of day."""
        return ZoneInfo(self.timezone)

    def away_until(self, now: int) -> int:
        """When its announced downtime ends; 0 where it works."""
        return away_until(self.downtime, self.zone, now)

    def context(self) -> dict[str, str]:
        """What tables write with ``$NAME``."""
        their_qualifier, _, them = self.sender.partition("/")
        our_qualifier, _, us = self.receiver.partition("/")
        return {
            **self.values, "sender_qualifier": our_qualifier, "interchange_sender": us,
            "receiver_qualifier": their_qualifier, "interchange_receiver": them, "usage": self.usage or "T",
            "application_sender": self.receiver_application or us,
            "application_receiver": self.sender_application or them, "payer_qualifier": self.payer_qualifier}


def addressed(message: Message, partner: Partner | None, at: int) -> Message:
    """The message as this partner wants it, with everything but its number.

    Args:
        partner: None: as the table wrote it.
        at: the time written into it, microseconds since the epoch: of the event, so that a repeated attempt has the
            same bytes (invariant 8).

    Raises:
        Rejection: see `connectors.x12.build.conform`; or the partner would refuse it, for these reasons: what its guide
            does not allow does not leave.
    """
    if partner is not None:
        for each in message.interchanges:
            for segment in each.segments:
                if segment.id == "TRN" and segment.element(1) == "1" and not segment.element(3):
                    segment.set(3, partner.trace_originator)
        conform(message, partner)
    moment = datetime.fromtimestamp(at / 1_000_000, UTC)
    seal(message, Stamp(interchange=1, date=f"{moment:%Y%m%d}", time=f"{moment:%H%M}"))
    wrong = [problem.finding for each in message.interchanges for problem in _problems(each, partner)]
    if wrong:
        raise Rejection(*wrong)
    return message


def _problems(each: Interchange, partner: Partner | None) -> Iterator[Problem]:
    """What would get it refused."""
    # Whom it is from and to is seen from our side here: the partner's `sender` and `receiver` are those of what it sends.
    verdict = judge(each, msgspec.structs.replace(ANYBODY, tolerate=partner.tolerate, characters=partner.characters)
                    if partner is not None else ANYBODY)
    for group in verdict.groups:
        if group.code == "R":
            yield from group.problems
        for one in group.sets:
            if one.code == "R":
                yield from one.problems


def scope(message: Message) -> str:
    """The sequence that gives the message its number: one a pair of sender and receiver (X02)."""
    header = message.interchanges[0].header
    us, them = (f"{header.element(n).strip()}/{header.element(n + 1).strip()}" for n in (5, 7))
    return sequence(us, them)


def numbered(body: bytes, number: int) -> bytes:
    """An addressed message under its number: the same arguments give the same bytes."""
    message = parse(body)
    group = next((segment for segment in message.interchanges[0].segments if segment.id == "GS"), None)
    if group is None:
        return body  # a TA1 alone: its number is of whoever acknowledges
    return seal(message, Stamp(interchange=number, date=group.element(4), time=group.element(5))).emit()
