"""Profiles of partners: read from the analysts' folder, checked against the dictionary, asked at the door."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from canonical.findings import Finding, Rejection
from canonical.receipt import Receipt
from connectors.base import Accept, Submission
from connectors.hl7v2.er7 import parse
from connectors.hl7v2.validation import Profile, Validator, places
from mapper import document
from mapper.document import Mark, Node
from router.site import Site, tables_of
from wiring.codes import NO_PROFILE, PROFILE_PLACE


def validators(nodes: Mapping[str, Node]) -> dict[str, Validator]:
    """The profiles of a library, by name.

    Raises:
        Rejection: everything that is wrong with any of them, each located.
    """
    problems: list[Finding] = []
    made: dict[str, Validator] = {}
    for name, node in nodes.items():
        try:
            profile = document.to_struct(node, Profile)
        except Rejection as rejection:
            problems.extend(rejection.findings)
            continue
        problems.extend(document.located(PROFILE_PLACE, _mark(node, part, place), f"there is no {place}")
                        for part, place in places(profile))
        made[name] = Validator(profile)
    if problems:
        raise Rejection(*problems)
    return made


def unfit(site: Site, marks: Mapping[str, Mark], known: Mapping[str, Node]) -> list[Finding]:
    """Channels whose profile does not exist, or that do not read HL7 v2."""
    found = []
    for name, channel in site.channels.items():
        if channel.profile and channel.profile not in known:
            found.append(document.located(NO_PROFILE, marks[f"channels.{name}"], f"there is no profile {channel.profile}",
                                          document.did_you_mean(channel.profile, known)))
        elif channel.profile and not all(table.startswith("hl7v2/") for table in tables_of(channel.mapping)):
            found.append(document.located(NO_PROFILE, marks[f"channels.{name}"], "a profile is for HL7 v2"))
    return found


def inspected(accept: Accept, validator: Validator, charset: str) -> Accept:
    """The door behind a look at each message: one that the profile wants refused is stored as refused."""
    async def inspect(submission: Submission) -> Receipt:
        if submission.refusal is None and submission.record is None:
            refusal = _refusal(validator, submission.raw.reveal(), submission.peek.charset or charset)
            if refusal is not None:  # not remembered: it may come again after its sender was mended
                submission = msgspec.structs.replace(submission, refusal=refusal,
                                                     peek=msgspec.structs.replace(submission.peek, dedup=b""))
        return await accept(submission)

    return inspect


def _refusal(validator: Validator, raw: bytes, charset: str) -> Finding | None:
    try:
        message = parse(raw, charset)
    except Rejection:
        return None  # whatever it is, it is parked with findings of its own
    return next((problem.finding for problem in validator.validate(message) if problem.policy == "fail"), None)


def _mark(node: Node, part: str, place: str) -> Mark:
    """Where a profile names a place."""
    inner = node.get(part) if isinstance(node, document.Mapping) else None
    if isinstance(inner, document.Mapping) and place in inner.entries:
        return inner.entries[place].key.mark
    if isinstance(inner, document.Sequence):
        return next((item.mark for item in inner.items if isinstance(item, document.Scalar) and item.text == place),
                    inner.mark)
    return node.mark
