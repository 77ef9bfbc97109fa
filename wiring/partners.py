"""Trading partners: read from the analysts' folder, given to the tables and to what finishes their messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from canonical.findings import Finding, Rejection, finding
from canonical.phi import Phi
from connectors.base import Dispatch, Unavailable
from connectors.x12.edi import Message
from connectors.x12.partner import Partner, addressed, numbered
from mapper import document
from mapper.document import Mark, Node
from router.site import Site, tables_of
from store.ledger import LedgerUnavailable, Numbers
from wiring.codes import NO_PARTNER

#: The time that stands in messages of cases: that of their events.
_MOMENT: Final = 1_767_225_600_000_000


def partners(nodes: Mapping[str, Node]) -> dict[str, Partner]:
    """The partners of a library, by name.

    Raises:
        Rejection: everything that is wrong with any of them, each located.
    """
    problems: list[Finding] = []
    made: dict[str, Partner] = {}
    for name, node in nodes.items():
        try:
            made[name] = document.to_struct(node, Partner)
        except Rejection as rejection:
            problems.extend(rejection.findings)
    if problems:
        raise Rejection(*problems)
    return made


class Profiles:
    """Partners for the cases beside the tables (`mapper.cases.Partners`): what is tested is what would be sent."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._nodes = nodes

    def values(self, name: str) -> Mapping[str, str]:
        """See `mapper.cases.Partners`."""
        return self._of(name).context()

    def finished(self, name: str, wire: Any) -> Any:
        """See `mapper.cases.Partners`."""
        return addressed(wire, self._of(name), _MOMENT) if isinstance(wire, Message) else wire

    def _of(self, name: str) -> Partner:
        if name not in self._nodes:
            raise Rejection(finding(NO_PARTNER, detail=f"there is no partner {name}",
                                    hint=document.did_you_mean(name, self._nodes)))
        return document.to_struct(self._nodes[name], Partner)


def unfit(site: Site, marks: Mapping[str, Mark], known: Mapping[str, Node]) -> list[Finding]:
    """Channels and destinations whose partner does not exist, or that do not speak X12."""
    found = []
    for name, channel in site.channels.items():
        if channel.partner:
            mark = marks[f"channels.{name}"]
            if channel.partner not in known:
                found.append(document.located(NO_PARTNER, mark, f"there is no partner {channel.partner}",
                                              document.did_you_mean(channel.partner, known)))
            elif not all(table.startswith("x12/") for table in tables_of(channel.mapping)):
                found.append(document.located(NO_PARTNER, mark, "a partner is for X12"))
    for name, destination in site.destinations.items():
        partner, mark = destination.partner, marks[f"destinations.{name}"]
        if partner and partner not in known:
            found.append(document.located(NO_PARTNER, mark, f"there is no partner {partner}",
                                          document.did_you_mean(partner, known)))
        elif partner and not all(table.startswith("x12/") for table in tables_of(destination.mapping)):
            found.append(document.located(NO_PARTNER, mark, "a partner is for X12"))
    return found


def of_channel(site: Site, name: str, known: Mapping[str, Partner]) -> list[Partner]:
    """Whose interchanges come in there: of its own partner, and of those who are asked and answer there."""
    names = {site.channels[name].partner, *(one.partner for one in site.destinations.values() if one.responses == name)}
    return [known[one] for one in sorted(names - {""})]


class Counting:
    """The ledger's control numbers for receivers (`connectors.base.Numbering`)."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers

    async def number(self, scope: str, holder: str, at: int) -> int:
        """See `connectors.base.Numbering`."""
        try:
            return await self._numbers.number(scope, holder, at)
        except LedgerUnavailable as away:
            raise Unavailable("no number can be had") from away

    async def claim(self, scope: str, number: int, holder: str, at: int) -> str:
        """See `connectors.base.Numbering`."""
        try:
            return await self._numbers.claim(scope, number, holder, at)
        except LedgerUnavailable as away:
            raise Unavailable("no number can be claimed") from away


def finish(dispatch: Dispatch, number: int) -> Dispatch:
    """`router.translate.Finish` of the formats there are: X12 alone counts its messages."""
    return msgspec.structs.replace(dispatch, body=Phi(numbered(dispatch.body.reveal(), number)))
