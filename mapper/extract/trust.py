"""From what a source claims to how often it is right: calibration (canonical model, 7.2).

A raw score is the source's confidence in the weakest word, times how well the place fits, times what mending left. Per
kind of field and per *checked or not* (whether a validator that can tell confirmed the value) a rising curve says which
share of such readings was right on generated forms. The curves are a table in ``mappings/documents/``: versioned,
readable, changed by ``dragoman documents calibrate``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final

import msgspec

from canonical.findings import Severity, declare
from mapper import document
from mapper.document import Node

NOT_RISING: Final = declare("extract.calibration", Severity.FATAL, "not a calibration curve",
                            "points are [score, share] from 0 to 1, both rising; see docs/documents.md")

#: Lower edges of the bins of scores that a curve is made of. A bin with few readings promises little, however right
#: they were.
BINS: Final = (0.0, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.96)
#: Readings that a curve must rest on before it may promise anything of its own.
FEWEST: Final = 15


class Sample(msgspec.Struct, frozen=True):
    """One reading with the truth about it."""

    group: str
    score: float
    right: bool


class Curve(msgspec.Struct, frozen=True):
    """A rising step function: from `score` on, a reading is right with this probability."""

    group: str
    readings: int
    points: tuple[tuple[float, float], ...]

    def at(self, score: float) -> float:
        """The promised precision."""
        index = bisect_right([point[0] for point in self.points], score) - 1
        return self.points[index][1] if index >= 0 else 0.0


class Calibration(msgspec.Struct, frozen=True):
    """All curves of one table. Without any, scores pass as they are."""

    name: str = ""
    producer: str = ""
    seeds: str = ""
    curves: Mapping[str, Curve] = {}

    def of(self, group: str, score: float) -> float:
        """The probability that a reading of that group and score is right."""
        curve = self.curves.get(group)
        if curve is not None:
            return curve.at(score)
        rest = self.curves.get("any")  # too little is known of such readings to promise more than they claim
        return min(rest.at(score), score) if rest is not None else score


def group_of(kind: str, *, checked: bool) -> str:
    """``npi checked``, ``text``: what shares a curve."""
    return f"{kind} checked" if checked else kind


def fitted(samples: Iterable[Sample]) -> dict[str, Curve]:
    """Isotonic curves over bins of scores (pool adjacent violators), one a group with enough readings,
    and one of all for the rest.

    A pool of n readings with k right promises (k + 0.5) / (n + 1): a few readings that were all right promise little.
    """
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.group, []).append(sample)
        groups.setdefault("any", []).append(sample)
    return {name: Curve(name, len(group), _pooled(group)) for name, group in sorted(groups.items())
            if len(group) >= FEWEST or name == "any"}


def _pooled(samples: list[Sample]) -> tuple[tuple[float, float], ...]:
    """Bins of scores, joined until the promises rise."""
    bins: dict[float, list[Sample]] = {}
    for sample in samples:
        bins.setdefault(max(edge for edge in BINS if edge <= sample.score), []).append(sample)
    pools: list[tuple[float, int, int]] = []  # lowest score, right, readings
    for low in sorted(bins):
        pools.append((low, sum(sample.right for sample in bins[low]), len(bins[low])))
        while len(pools) > 1 and _promise(pools[-2]) >= _promise(pools[-1]):
            _, right, count = pools.pop()
            low_, before, total = pools.pop()
            pools.append((low_, before + right, total + count))
    return tuple((low, round(_promise(pool), 4)) for pool in pools for low in (pool[0],))


def _promise(pool: tuple[float, int, int]) -> float:
    return (pool[1] + 0.5) / (pool[2] + 1)


_KEYS: Final = ("calibration", "producer", "seeds", "curves", "note")


def load(node: Node) -> Calibration:
    """Read a ``calibration:`` table. Raises Rejection, located."""
    top = document.mapping(node, node.mark, "a calibration")
    document.known_keys(top, _KEYS, "a calibration")
    words = {key: document.scalar(top.entries[key].value, key).text for key in _KEYS[:3] if key in top.entries}
    curves = {}
    table = top.get("curves")
    for name, entry in document.mapping(table, top.mark, "curves").entries.items():
        curves[name] = _curve(name, entry.value)
    return Calibration(words.get("calibration", ""), words.get("producer", ""), words.get("seeds", ""), curves)


def _curve(name: str, node: Node) -> Curve:
    cells = document.mapping(node, node.mark, "a curve")
    document.known_keys(cells, ("readings", "points"), "a curve")
    read = document.to_struct(cells, _Written)
    rising = all(one[0] < two[0] and one[1] <= two[1] for one, two in pairwise(read.points))
    if not rising or not all(0 <= number <= 1 for point in read.points for number in point):
        raise document.fail(NOT_RISING, cells.mark)
    return Curve(name, read.readings, read.points)


class _Written(msgspec.Struct, frozen=True):
    readings: int
    points: tuple[tuple[float, float], ...]


def written(calibration: Calibration) -> str:
    """The table as YAML."""
    lines = [f"calibration: {calibration.name}", f"producer: {calibration.producer}", f"seeds: {calibration.seeds}",
             "curves:"]
    for name, curve in sorted(calibration.curves.items()):
        points = ", ".join(f"[{score:g}, {share:g}]" for score, share in curve.points)
        lines.append(f"  {name}: {{readings: {curve.readings}, points: [{points}]}}")
    return "\n".join(lines) + "\n"


class Bin(msgspec.Struct, frozen=True):
    """Readings with alike promises."""

    low: float
    high: float
    readings: int
    promised: float
    """Mean promise."""
    observed: float
    """Share that was right."""


#: Edges of the bins that promises are compared in.
EDGES: Final = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0001)


def compared(calibration: Calibration, samples: Iterable[Sample]) -> list[Bin]:
    """Promised precision against observed, in bins."""
    promised = [(calibration.of(sample.group, sample.score), sample.right) for sample in samples]
    bins = []
    for low, high in pairwise(EDGES):
        inside = [(promise, right) for promise, right in promised if low <= promise < high]
        if inside:
            bins.append(Bin(low, min(high, 1.0), len(inside), sum(promise for promise, _ in inside) / len(inside),
                            sum(right for _, right in inside) / len(inside)))
    return bins
