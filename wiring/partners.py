"""Trading partners: read from the analysts' folder, given to the tables and to what finishes their messages."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from canonical.findings import Finding, Rejection
from canonical.phi import Phi
from connectors.base import Dispatch
from connectors.x12.partner import Partner, numbered
from mapper import document
from mapper.document import Mark, Node
from router.site import Site, tables_of
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
    """Destinations whose partner does not exist, or that do not write X12."""
    found = []
    for name, destination in site.destinations.items():
        partner, mark = destination.partner, marks[f"destinations.{name}"]
        if partner and partner not in known:
            found.append(document.located(NO_PARTNER, mark, f"there is no partner {partner}",
                                          document.did_you_mean(partner, known)))
        elif partner and not all(table.startswith("x12/") for table in tables_of(destination.mapping)):
            found.append(document.located(NO_PARTNER, mark, "a partner is for X12"))
    return found


def finish(dispatch: Dispatch, number: int) -> Dispatch:
    """`router.translate.Finish` of the formats there are: X12 alone counts its messages."""
    return msgspec.structs.replace(dispatch, body=Phi(numbered(dispatch.body.reveal(), number)))
