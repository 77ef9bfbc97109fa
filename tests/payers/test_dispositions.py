"""What each complaint of a payer comes to, over the real envelope: the table of X29, row by row; search options (X21)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.x12.edi import parse
from connectors.x12.judge import judge
from simulators.faults import Plan
from simulators.payer import Payer
from simulators.x12 import Request, requests
from tests.payers.clinic import PARTNER, SITE, booked, clinic, insured

#: ACME's guide: by number, name and birth date; then without the name; then without the number.
SEARCHES = PARTNER + """
search:
  - [member, name, birth_date]
  - [name, birth_date]
  - [member, birth_date]
"""
PATIENT = SITE.replace("attempts: 1", "attempts: 3\n    again_s: 1").replace("deadline_s: 3", "deadline_s: 60")


def asked(payer: Payer) -> list[Request]:
    """The inquiries that reached the payer, each once."""
    return [requests(one.body)[0] for one in payer.sink.arrivals if one.effect]


async def nothing_more(payer: Payer, count: int) -> None:
    """No further inquiry leaves."""
    await asyncio.sleep(0.4)
    assert len(asked(payer)) == count


def spotless(payer: Payer) -> None:
    """Our own reading of the guide finds nothing in what was sent."""
    for one in payer.sink.arrivals:
        verdict = judge(parse(one.body).interchanges[0])
        assert [problem for group in verdict.groups for each in group.sets for problem in each.problems] == []


REGISTRATION = [("71", "not-found"), ("72", "not-found"), ("73", "not-found"), ("58", "not-found"), ("64", "not-found"),
                ("65", "not-found")]
SETUP = [(code, "rejected") for code in ("41", "43", "44", "45", "46", "47", "48", "50", "51", "79")]
DATA = [("15", "rejected"), ("04", "rejected"), ("T4", "rejected")]


@pytest.mark.parametrize(("code", "reason", "kind"), [
    *((code, reason, "eligibility") for code, reason in (*REGISTRATION, *DATA)),
    *((code, reason, "payer-setup") for code, reason in SETUP),
    ("60", "rejected", "eligibility"), ("61", "rejected", "eligibility")])
async def test_what_no_further_question_can_mend_is_for_people_at_once(
        tmp_path: Path, code: str, reason: str, kind: str) -> None:
    """X29: registration, enrolment, data, and dates of the person; one inquiry, whatever the search options."""
    async with Payer(plan=Plan(f"aaa:{code} always")) as payer, clinic(
            tmp_path, payer, site=PATIENT, partner=SEARCHES) as site:
        await site.books()
        task = await site.task(f"ELIGIBILITY:{reason}")
        assert (task.type, await site.reasons()) == (kind, [f"ELIGIBILITY:{reason}"])
        await nothing_more(payer, 1)
        assert await site.parked() == []
        spotless(payer)


@pytest.mark.parametrize(("code", "reason"), [
    ("75", "not-found"), ("67", "not-found"), ("76", "ambiguous"), ("68", "ambiguous")])
async def test_who_is_not_found_is_searched_once_more_and_then_people_are_asked(
        tmp_path: Path, code: str, reason: str) -> None:
    """X21, X29: the next option once, under a trace and a number of its own, with no more of the member than it says."""
    async with Payer(plan=Plan(f"aaa:{code} always")) as payer, clinic(
            tmp_path, payer, site=PATIENT, partner=SEARCHES) as site:
        await site.books()
        await site.task(f"ELIGIBILITY:{reason}")
        assert await site.reasons() == [f"ELIGIBILITY:{reason}"]
        await nothing_more(payer, 2)
        first, second = asked(payer)
        assert [(one.value("NM1", 3, "IL"), one.value("NM1", 9, "IL"), one.value("DMG", 2)) for one in (first, second)] == [
            ("ASHBY", "W1", "19800229"), ("ASHBY", "", "19800229")]
        assert first.value("DMG", 3) == "", "nobody said that the sex may be sent"
        assert first.value("TRN", 2) != second.value("TRN", 2)
        assert first.isa[13] != second.isa[13]
        spotless(payer)


async def test_whoever_the_next_search_finds_is_compared_with_what_we_know(tmp_path: Path) -> None:
    """X21, X28: found without the number, under another number: the visit waits until somebody has looked."""
    async with Payer(plan=Plan("aaa:75 at 1")) as payer, clinic(tmp_path, payer, site=PATIENT, partner=SEARCHES) as site:
        payer.member_id = "W777"
        await site.books()
        await site.answered("active")
        task = await site.task("DEMOGRAPHICS:payer-differs")
        assert await site.reasons() == ["DEMOGRAPHICS:payer-differs"]
        assert task.task.blocks is True
        assert [(one.field, one.ours, one.theirs) for one in task.task.differences or ()] == [
            ("coverage.member_id", "W1", "W777")]
        await nothing_more(payer, 2)


async def test_whoever_is_found_as_expected_leaves_no_task(tmp_path: Path) -> None:
    """X21: the payer knows the same number."""
    async with Payer(plan=Plan("aaa:75 at 1")) as payer, clinic(tmp_path, payer, site=PATIENT, partner=SEARCHES) as site:
        await site.books()
        await site.answered("active")
        await nothing_more(payer, 2)
        assert await site.reasons() == []


async def test_without_search_options_there_is_no_second_search(tmp_path: Path) -> None:
    """X21: a payer whose guide names none is asked as ever."""
    async with Payer(plan=Plan("aaa:75 always")) as payer, clinic(tmp_path, payer, site=PATIENT) as site:
        await site.books()
        await site.task("ELIGIBILITY:not-found")
        await nothing_more(payer, 1)


async def test_a_member_without_a_number_is_searched_as_the_payer_allows(tmp_path: Path) -> None:
    """X21: by name and birth date, where the card has not been seen yet."""
    async with Payer() as payer, clinic(tmp_path, payer, site=PATIENT, partner=SEARCHES) as site:
        await site.tell(insured(1).replace(b"|W1\r", b"|\r"), booked(1))
        await site.answered("active")
        only, = asked(payer)
        assert (only.value("NM1", 3, "IL"), only.value("NM1", 8, "IL"), only.value("NM1", 9, "IL")) == ("ASHBY", "", "")
        spotless(payer)


@pytest.mark.parametrize("code", ["56", "57", "62", "63"])
async def test_a_day_that_the_payer_does_not_take_is_left_out_once(tmp_path: Path, code: str) -> None:
    """X29: the second question means today; when that is not taken either, people are asked."""
    async with Payer(plan=Plan(f"aaa:{code} always")) as payer, clinic(tmp_path, payer, site=PATIENT) as site:
        await site.books()
        await site.task("ELIGIBILITY:rejected")
        await nothing_more(payer, 2)
        assert [one.value("DTP", 3, "291") for one in asked(payer)] == ["20270310", ""]
        spotless(payer)


async def test_a_day_that_was_corrected_leaves_no_task(tmp_path: Path) -> None:
    """X29."""
    async with Payer(plan=Plan("aaa:62 at 1")) as payer, clinic(tmp_path, payer, site=PATIENT) as site:
        await site.books()
        await site.answered("active")
        assert await site.reasons() == []
        await nothing_more(payer, 2)


@pytest.mark.parametrize("code", ["42-R", "80-P", "42-C"])
async def test_a_payer_that_cannot_answer_is_asked_again_with_pauses(tmp_path: Path, code: str) -> None:
    """X29: each time under a trace of its own; nobody is bothered before that has failed."""
    async with Payer(plan=Plan(f"aaa:{code} first 2")) as payer, clinic(tmp_path, payer, site=PATIENT) as site:
        await site.books()
        await site.answered("active")
        assert await site.reasons() == []
        assert len({one.value("TRN", 2) for one in asked(payer)}) == len(asked(payer)) == 3


@pytest.mark.parametrize("follow_up", ["W", "X", "N", "S", "Y"])
async def test_a_payer_that_does_not_want_to_be_asked_soon_is_not(tmp_path: Path, follow_up: str) -> None:
    """X29: wait 30 days, wait 10 days, never: people are told at once, and the payer is left alone."""
    async with Payer(plan=Plan(f"aaa:42-{follow_up} always")) as payer, clinic(tmp_path, payer, site=PATIENT) as site:
        await site.books()
        await site.task("ELIGIBILITY:payer-unavailable")
        await asyncio.sleep(1.2)  # longer than the pause of the rule
        await nothing_more(payer, 1)


async def test_who_may_not_be_asked_for_again_is_not_searched_either(tmp_path: Path) -> None:
    """X29: AAA04 N."""
    async with Payer(plan=Plan("aaa:75-N always")) as payer, clinic(tmp_path, payer, site=PATIENT, partner=SEARCHES) as site:
        await site.books()
        await site.task("ELIGIBILITY:not-found")
        await nothing_more(payer, 1)


async def test_a_corrected_registration_asks_anew(tmp_path: Path) -> None:
    """X29: once the member number is right, the task goes away by itself."""
    async with Payer(plan=Plan("aaa:72 at 1")) as payer, clinic(tmp_path, payer, site=PATIENT) as site:
        await site.books()
        await site.task("ELIGIBILITY:not-found")
        await site.tell(insured(1).replace(b"B-1|", b"B-9|").replace(b"|W1\r", b"|W2\r").replace(
            b"20260310120000", b"20260312120000"))

        async def asked_twice() -> bool:
            return len(asked(payer)) == 2
        await site.until(asked_twice)
        await site.until(site.nothing_to_do)
        assert [one.value("NM1", 9, "IL") for one in asked(payer)] == ["W1", "W2"]


async def test_a_visit_beyond_what_the_payer_looks_ahead_is_not_asked_about_yet(tmp_path: Path) -> None:
    """X25."""
    async with Payer() as payer, clinic(tmp_path, payer, site=PATIENT, partner=f"{PARTNER}days_ahead: 30\n") as site:
        await site.books(1, day="20991224")
        await site.books(2, day=f"{datetime.now(UTC) + timedelta(5):%Y%m%d}")
        await site.answered("active")
        assert [one.value("NM1", 9, "IL") for one in asked(payer)] == ["W2"]
        assert await site.reasons() == []
