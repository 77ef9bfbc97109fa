"""What waits for people, in clusters: one cause, one line, one command (A6.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from canonical.findings import Finding, Severity, declared
from console.clock import iso
from store.ledger import Desk
from store.records import DeliveryState, MessageQuery, MessageState

#: Members that are looked at for their causes, and causes that are told.
_LOOKED_AT: Final = 200
_TOLD: Final = 3


class Cluster(msgspec.Struct, kw_only=True):
    """Everything that waits for one reason in one place."""

    what: str
    """``message`` (at a channel) or ``delivery`` (at a destination)."""
    where: str
    reason: str
    summary: str
    count: int
    oldest: str
    newest: str
    hint: str
    page: str
    causes: list[str]
    """What exactly is wrong and how to mend it, as the findings of the members say: the code table's name and
    file. A few at most, and none where the words of the code itself are all there is."""
    example: str
    """Command that shows one member whole; empty where it is gone by now."""
    look: str
    """Command that shows the members."""
    fix: str
    """Command that mends them once the cause is gone: a dry run, it changes nothing by itself."""


class ParkedView(msgspec.Struct, kw_only=True):
    """All clusters, largest first, and how many messages are held behind them."""

    clusters: list[Cluster]
    held: int = 0


async def parked_view(desk: Desk, held: int) -> ParkedView:
    """The clusters of the ledger, with the words of the finding's declaration."""
    codes = declared()
    clusters = []
    for what, where, reason, count, oldest, newest in await desk.parked():
        code = codes.get(reason)
        of_messages = what.startswith("message")
        scope = f"--channel {where}" if of_messages else f"--destination {where}"
        members = scope if of_messages else f"--parked-at {where}"
        example, causes = await (_messages(desk, where, reason) if of_messages else _deliveries(desk, where, reason))
        clusters.append(Cluster(
            causes=causes, example=f"dragoman show {example}" if example else "",
            what="message" if of_messages else "delivery", where=where, reason=reason, count=count,
            oldest=iso(oldest), newest=iso(newest),
            summary=code.summary if code else "", hint=code.hint if code else "",
            page=f"docs/findings/{reason}.md",
            look=f"dragoman messages {members} --code {reason}",
            fix=f"dragoman replay {scope} --code {reason}"))
    return ParkedView(clusters=sorted(clusters, key=lambda cluster: -cluster.count), held=held)


async def _messages(desk: Desk, channel: str, reason: str) -> tuple[str, list[str]]:
    found = await desk.find(MessageQuery(channel=channel, state=MessageState.PARKED, reason=reason,
                                         limit=_LOOKED_AT))
    return found[-1].id if found else "", _causes(reason, [one.findings for one in found])


async def _deliveries(desk: Desk, destination: str, reason: str) -> tuple[str, list[str]]:
    found = await desk.find_deliveries(destination=destination, state=DeliveryState.PARKED, reason=reason,
                                       limit=_LOOKED_AT)
    example = found[0].event_id.rpartition(".")[0] if found else ""
    return example, _causes(reason, [one.findings for one in found])


def _causes(reason: str, members: Iterable[Sequence[Finding]]) -> list[str]:
    """Places, details and hints that say more than the declaration of the code, each once. A field that is
    missing because it could not be read is told by the reason for that."""
    code = declared().get(reason)
    told: dict[str, None] = {}
    for findings in members:
        named = [one for one in findings if one.code == reason]
        fields = {one.field for one in named if one.field}
        deeper = [one for one in findings
                  if one.field in fields and one.code != reason and one.severity is Severity.ERROR]
        for one in deeper or named:
            place = " ".join(part for part in (one.at, one.field, one.row) if part)
            detail = "" if code is not None and one.detail == code.summary else one.detail
            if place or detail:
                text = ": ".join(part for part in (place, detail) if part)
                told.setdefault(f"{text} ({one.hint})" if one.hint else text)
    return list(told)[:_TOLD]
