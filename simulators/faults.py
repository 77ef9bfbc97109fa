"""One fault plan for all simulators: which request goes wrong, and how.

A plan is a list of rules written ``KIND[:ARGUMENT] WHEN``; the first rule that applies to a request decides.

======================  ==================================================================================
``503:5 once``          the first request
``ae:101 at 7``         the seventh
``silence first 3``     the first three
``500 every 10``        the tenth, twentieth …
``429:2 for 30s``       all in the 30 seconds after the first request
``503 after 5s for 9s`` all between 5 and 14 seconds after the first request
``lost rate 2%``        two in a hundred, drawn with the plan's seed
``late:0.5 always``     all
======================  ==================================================================================

What the kinds mean is written beside each simulator; these are common to all:

* ``silence``: the request is read and dropped; no effect, no answer;
* ``lost``: the effect happens, the answer never comes (a time-out after the commit);
* ``close``: the connection is closed without effect or answer;
* ``late:SECONDS``: effect and answer, after a while.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import Final

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """What goes wrong with one request."""

    kind: str
    argument: str = ""

    def seconds(self, default: float) -> float:
        """The argument as seconds."""
        return float(self.argument) if self.argument else default


_RULE: Final = re.compile(
    r"(?P<kind>[a-z0-9-]+)(:(?P<argument>[\w.-]+))? "
    r"(?P<when>always|once|(at|first|every) [1-9]\d*|(after [\d.]+s )?for [\d.]+s|rate [\d.]+%)")


class Plan:
    """Decides request by request. Not shared between simulators: each counts its own."""

    def __init__(self, *rules: str, seed: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._rules = [_parse(rule) for rule in rules]
        self._random = random.Random(seed)
        self._clock = clock
        self._began: float | None = None
        self.requests = 0
        """Requests seen."""
        self.faults = 0
        """Requests that went wrong."""

    def replace(self, *rules: str) -> None:
        """From the next request on these rules count, from zero; without any, all goes well."""
        self._rules = [_parse(rule) for rule in rules]
        self._began = None
        self.requests = 0

    def next(self) -> Fault | None:
        """The fault of the request that has just come, or None."""
        now = self._clock()
        if self._began is None:
            self._began = now
        self.requests += 1
        for fault, applies in self._rules:
            if applies(self.requests, now - self._began, self._random.random):
                self.faults += 1
                return fault
        return None


_Applies = Callable[[int, float, Callable[[], float]], bool]


def _parse(rule: str) -> tuple[Fault, _Applies]:
    match = _RULE.fullmatch(rule)
    if match is None:
        raise ValueError(f"not a fault rule: {rule!r} (KIND[:ARGUMENT] always | once | at N | first N | "
                         "every N | for Ns | after Ns for Ns | rate P%)")
    return Fault(match["kind"], match["argument"] or ""), _when(match["when"].split())


def _when(words: list[str]) -> _Applies:
    if words[0] == "always":
        return lambda count, age, draw: True
    if words[0] == "once":
        return lambda count, age, draw: count == 1
    number = float(words[1].rstrip("s%"))
    if words[0] == "at":
        return lambda count, age, draw: count == number
    if words[0] == "first":
        return lambda count, age, draw: count <= number
    if words[0] == "every":
        return lambda count, age, draw: count % number == 0
    if words[0] == "rate":
        return lambda count, age, draw: draw() * 100 < number
    if words[0] == "for":
        return lambda count, age, draw: age < number
    until = number + float(words[3].rstrip("s"))
    return lambda count, age, draw: number <= age < until
