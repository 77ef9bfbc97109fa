"""Trading partners: read from the analysts' folder, given to the tables and to what finishes their messages."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from canonical.findings import Finding, Rejection
from canonical.phi import Phi
from connectors.base import Dispatch, Unavailable
from connectors.x12.partner import Partner, numbered
from mapper import document
from mapper.document import Mark, Node
from router.site import Site, tables_of
from store.ledger import LedgerUnavailable, Numbers
from wiring.codes import NO_PARTNER


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
