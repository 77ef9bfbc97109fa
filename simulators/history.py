"""Invented patients and what happens to them: the facts an EHR would tell, in the order in which they happen.

Deterministic: the same seed gives the same people and the same days. Nothing here is about a real person.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

import msgspec

_FAMILY: Final = (
    "Alvarez", "Brandt", "Castellanos", "Dubois", "Eriksen", "Fournier", "García", "Haddad", "Ivanova",
    "Jørgensen", "Kowalski", "Lindqvist", "Müller", "Nakamura", "O'Brien", "Petrov", "Quispe", "Rossi",
    "Schäfer", "Tanaka", "Ugarte", "Vásquez", "Whitfield", "Yılmaz", "Zhang")
_GIVEN: Final = {"F": ("Ada", "Beatriz", "Chloé", "Dagny", "Elif", "Freya", "Grace", "Hana", "Inés", "Júlia"),
                 "M": ("Anders", "Bruno", "Cem", "Diego", "Emil", "Félix", "Goran", "Hugo", "Ivo", "Jonas")}
_STREETS: Final = ("Pier Ave", "Harbor Ln", "Birch St", "Mill Rd", "Orchard Way", "Lighthouse Rd", "Quarry St")


class Person(msgspec.Struct, frozen=True):
    """A patient as the EHR holds it."""

    number: int
    """Makes the medical record number."""
    family: str
    given: str
    middle: str
    sex: str
    born: str
    """``YYYYMMDD``"""
    street: str
    phone: str
    """Last four digits; the rest is fictional by the numbering plan (555-0100 to 555-0199)."""


class Visit(msgspec.Struct, frozen=True):
    """An appointment as the EHR holds it."""

    number: int
    start: datetime
    """Local time of the site, without zone."""
    minutes: int
    kind: int
    """Index into the site's catalogue of visit types."""
    clinician: int
    room: int
    mode: str
    """V by video, P in person"""
    status: str
    """booked, arrived, fulfilled, cancelled, noshow, deleted, discontinued"""


class Fact(msgspec.Struct, frozen=True):
    """One thing the EHR tells others."""

    trigger: str
    """``S12``, ``A08`` …"""
    at: datetime
    """When it happened: local time of the site, without zone."""
    person: Person
    visit: Visit | None = None
    merged: int = 0
    """A40: number of the record that was merged into the person's."""
    reason: bool = False
    """S15: a reason is given."""


def person(seed: int, number: int) -> Person:
    """The patient with this number."""
    draw = random.Random(f"{seed}/person/{number}")
    sex = draw.choice("FM")
    return Person(number, draw.choice(_FAMILY), draw.choice(_GIVEN[sex]), draw.choice("ABCDEFGHJKLM"), sex,
                  f"{draw.randint(1930, 2020)}{draw.randint(1, 12):02d}{draw.randint(1, 28):02d}",
                  f"{draw.randint(1, 400)} {draw.choice(_STREETS)}", f"01{draw.randint(0, 99):02d}")


def booking(seed: int, number: int, patients: int, day: datetime) -> Fact:
    """The new appointment with this number, of one of so many patients: uniform traffic for measurements."""
    draw = random.Random(f"{seed}/booking/{number}")
    return Fact("S12", day, person(seed, number % patients), _visit(draw, number, day, 0))


def histories(seed: int, day: datetime, wave: int = 100) -> Iterator[Fact]:
    """What happens to wave after wave of patients, in order of time; never ends.

    Every trigger from S12 to S24, S26, S27 and A01, A03, A04, A05, A08, A28, A31, A40 occurs. Facts about one
    patient never share an instant.
    """
    first = 0
    while True:
        lives = [_life(seed, number, day) for number in range(first, first + wave)]
        yield from heapq.merge(*lives, key=lambda fact: fact.at)
        first += wave


def _visit(draw: random.Random, number: int, day: datetime, index: int) -> Visit:
    start = (day + timedelta(days=draw.randint(3, 60))).replace(hour=draw.randint(8, 16),
                                                                minute=draw.choice((0, 15, 30, 45)), second=0)
    return Visit(number * 10 + index, start, draw.choice((15, 20, 30, 45, 60)), draw.randrange(100),
                 draw.randrange(100), draw.randint(1, 24), draw.choice("VPPP"), "booked")


def _life(seed: int, number: int, day: datetime) -> Iterator[Fact]:
    """One patient: registered, booked once to three times, each visit changed and ended in some way."""
    draw = random.Random(f"{seed}/life/{number}")
    who = person(seed, number)
    now = day + timedelta(seconds=draw.randrange(3600))

    def tick() -> datetime:
        nonlocal now
        now += timedelta(seconds=draw.randint(1, 900))
        return now

    yield Fact(draw.choice(("A28", "A04", "A05")), tick(), who)
    for index in range(draw.randint(1, 3)):
        visit = _visit(draw, number, day, index)
        yield Fact("S12", tick(), who, visit)
        if draw.random() < 0.25:
            who = msgspec.structs.replace(who, street=f"{draw.randint(1, 400)} {draw.choice(_STREETS)}")
            yield Fact(draw.choice(("A08", "A31")), tick(), who)
        if draw.random() < 0.35:
            visit = msgspec.structs.replace(visit, start=visit.start + timedelta(days=draw.randint(1, 14)))
            yield Fact("S13", tick(), who, visit)
        if draw.random() < 0.25:
            visit = msgspec.structs.replace(visit, room=draw.randint(1, 24))
            yield Fact("S14", tick(), who, visit)
        if draw.random() < 0.15:
            visit = msgspec.structs.replace(visit, clinician=draw.randrange(100))
            yield Fact(draw.choice(("S18", "S19", "S20", "S21", "S22")), tick(), who, visit)
        if draw.random() < 0.05:
            yield Fact("S27", tick(), who, visit)
        if draw.random() < 0.06:
            blocked = msgspec.structs.replace(visit, number=visit.number + 5)
            yield Fact("S23", tick(), who, blocked)
            if draw.random() < 0.5:
                yield Fact("S24", tick(), who, blocked)
        yield from _end(draw, tick, who, visit)
    if draw.random() < 0.08:
        yield Fact("A01", tick(), who)
        yield Fact("A03", tick(), who)
    if draw.random() < 0.06:
        yield Fact("A40", tick(), who, merged=900_000 + number)


def _end(draw: random.Random, tick: Callable[[], datetime], who: Person, visit: Visit) -> Iterator[Fact]:
    """How a visit ends: attended, cancelled, missed, entered in error, broken off, or still ahead."""
    chance = draw.random()

    def ended(status: str) -> Visit:
        return msgspec.structs.replace(visit, status=status)

    if chance < 0.35:
        yield Fact("A04", tick(), who, ended("arrived"))
        yield Fact("A03", tick(), who, ended("fulfilled"))
    elif chance < 0.55:
        yield Fact("S15", tick(), who, ended("cancelled"), reason=draw.random() < 0.7)
    elif chance < 0.65:
        yield Fact("S26", tick(), who, ended("noshow"))
    elif chance < 0.68:
        yield Fact("S17", tick(), who, ended("deleted"))
    elif chance < 0.71:
        yield Fact("S16", tick(), who, ended("discontinued"))
