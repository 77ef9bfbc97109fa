"""What a 270 says of whom, and what of a 271 is kept for the desk: CORE data content (X18, X20, X34)."""

from __future__ import annotations

from pathlib import Path

import pytest

from canonical.coverage import Benefit, EligibilityCheck
from canonical.eligibility import differences
from canonical.model import HumanName, Patient
from simulators.payer import Payer
from simulators.x12 import requests
from tests.payers.clinic import PARTNER, SITE, booked, clinic, insured

#: IN1-16 to IN1-18: who is insured, what the patient is to them, their birth date.
MOTHER = b"|ASHBY^RUTH|CHD|19500102"
HERSELF = b"|ASHBY^NORA|SEL|19800229"


def through(whom: bytes) -> bytes:
    """BAR^P01 that names the insured."""
    head, _, rest = insured(1).partition(b"|G7|")
    fields = rest.split(b"|")
    return head + b"|G7|" + b"|".join(fields[:7]) + whom + b"|" + b"|".join(fields[10:])


@pytest.mark.parametrize("rule", ["eligibility", "authorization"])
@pytest.mark.parametrize(("whom", "profile", "dependent"), [
    (MOTHER, PARTNER, True), (HERSELF, PARTNER, False), (MOTHER, f"{PARTNER}own_numbers: yes\n", False)])
async def test_whoever_has_a_number_of_their_own_is_the_subscriber(
        tmp_path: Path, whom: bytes, profile: str, dependent: bool, rule: str) -> None:
    """X20: the patient stands under somebody else only where the number is somebody else's; the answer finds its way."""
    async with Payer() as payer, clinic(tmp_path, payer, rule=rule, partner=profile) as site:
        await site.tell(through(whom), booked(1))

        async def asked() -> bool:
            return payer.sink.count == 1

        await site.until(asked)
        sent = requests(payer.sink.arrivals[0].body)[0]
        assert bool(sent.value("HL", 3, "4")) or rule == "eligibility"
        subscriber = (sent.value("NM1", 3, "IL"), sent.value("NM1", 4, "IL"))
        under = (sent.value("NM1", 4, "03"), sent.value("NM1", 4, "QC"))
        assert subscriber == ("ASHBY", "RUTH" if dependent else "NORA")
        assert any(under) is dependent
        if rule == "eligibility":
            check = await site.answered("active")
            assert {one.whose for one in check.result.benefits or ()} == (  # type: ignore[union-attr] # it is answered
                {"dependent"} if dependent else {"subscriber"})
        assert await site.reasons() == []
        assert await site.parked() == []


def told(check: EligibilityCheck, information: str, term: str = "") -> Benefit:
    """The one benefit of that kind."""
    result = check.result
    assert result
    found, = [one for one in result.benefits or () if one.information == information and (not term or one.term == term)]
    return found


async def test_what_the_patient_pays_is_kept_as_the_payer_says_it(tmp_path: Path) -> None:
    """X18: copay, coinsurance, deductible of the year and what remains of it; service types as they were asked."""
    async with Payer() as payer, clinic(tmp_path, payer, site=SITE.replace('["98"]', '["30", "98"]')) as site:
        await site.books()
        check = await site.answered("active")
        copay, share = told(check, "B"), told(check, "A")
        year, remaining = told(check, "C", "23"), told(check, "C", "29")
        assert [one.amount.amount if one.amount else None for one in (copay, year, remaining)] == ["25", "1500", "620.5"]
        assert (share.percent, copay.term, copay.in_network, share.authorization_required) == ("0.2", "27", "both", "yes")
        assert [segment[1] for segment in requests(payer.sink.arrivals[0].body)[0].all("EQ")] == ["30", "98"]


@pytest.mark.parametrize(("ours", "theirs", "same"), [
    ("Ashby-Smith", "ASHBY SMITH", True), ("O'Hara", "OHARA JR", True), ("Ashby", "ASHBY III", True),
    ("Ashby", "ASHLEY", False), ("Ma", "MA", True), ("Md", "SMITH", False)])
def test_names_are_compared_as_they_are_normalised(ours: str, theirs: str, same: bool) -> None:
    """X18, X28 (CORE 258): capitals, marks, titles and suffixes make no other person."""
    found = list(differences(Patient(names=(HumanName(family=ours),)), Patient(names=(HumanName(family=theirs),))))
    assert (found == []) is same
