"""What the simulated EHRs send, and the two messages that go wrong on purpose."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Final

import msgspec

from simulators.ehr import Ehr, Sent

#: A status that Mercy's code table does not have yet, and the row that adds it.
UNKNOWN_STATUS: Final = b"TENT"
NEW_ROW: Final = "  - {source: TENT, canonical: pending, only: in, note: added during the demo}\n"
_SCHEDULE: Final = re.compile(rb"SCH\|[^\r]*\r")


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is sent."""

    mercy: Sequence[Sent]
    lakeside: Sequence[Sent]
    broken: Sent
    """Its SCH segment was lost on the way: nothing says which appointment it is about."""
    corrected: Sent
    """The same booking once more, as the EHR's people send it after they were told."""
    unmapped: Sent
    """Its status is not in the code table."""


def write(messages: int) -> Script:
    """`messages` of each EHR. The same number gives the same messages, byte for byte."""
    mercy = list(islice(Ehr("mercy", seed=11).histories(wave=messages // 5), messages))
    lakeside = list(islice(Ehr("lakeside", seed=12).histories(wave=messages // 5), messages))
    first, second = _followed(mercy)
    good = mercy[first]
    broken = msgspec.structs.replace(good, body=_SCHEDULE.sub(b"", good.body), spoiled=True)
    corrected = msgspec.structs.replace(
        good, control_id=f"{good.control_id}R",
        body=good.body.replace(good.control_id.encode(), f"{good.control_id}R".encode(), 1))
    unmapped = msgspec.structs.replace(
        mercy[second], body=mercy[second].body.replace(b"|CONF\r", b"|" + UNKNOWN_STATUS + b"\r", 1))
    mercy[first], mercy[second] = broken, unmapped
    return Script(mercy=mercy, lakeside=lakeside, broken=broken, corrected=corrected, unmapped=unmapped)


def _followed(messages: Sequence[Sent]) -> tuple[int, int]:
    """Places of two bookings of different patients who have later messages: those will be held."""
    found = [place for place, sent in enumerate(messages)
             if sent.trigger == "S12" and any(later.lane == sent.lane for later in messages[place + 1:])]
    other = next(place for place in found if messages[place].lane != messages[found[0]].lane)
    return found[0], other
