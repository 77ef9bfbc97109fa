"""Generated referral forms (issue 5): deterministic, spoilt as a fax spoils them, with a truth that holds."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from simulators.forms.facts import npi, providers
from simulators.forms.fax import Quality
from simulators.forms.form import Fax, make, tiff, write
from simulators.forms.layouts import LAYOUTS


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_the_same_seed_gives_the_same_fax(layout: str) -> None:
    first, truth = make(7, Quality.STANDARD, layout=layout)
    again, same = make(7, Quality.STANDARD, layout=layout)
    assert truth == same
    assert tiff(first) == tiff(again)
    assert make(8, Quality.STANDARD, layout=layout)[1] != truth


@pytest.mark.parametrize(("quality", "lines"), [(Quality.FINE, 196), (Quality.STANDARD, 98), (Quality.POOR, 98)])
def test_a_fax_is_group_4_at_the_resolution_of_its_quality(quality: Quality, lines: int) -> None:
    pages, _ = make(3, quality)
    with Image.open(io.BytesIO(tiff(pages))) as image:
        assert image.info["compression"] == "group4"
        assert image.mode == "1"
        assert tuple(map(round, image.info["dpi"])) == (204, lines)


def test_every_value_is_on_the_page_where_the_truth_says() -> None:
    for layout in LAYOUTS:
        pages, fax = make(5, Quality.FINE, layout=layout)
        (referral,) = fax.referrals
        assert {spot.field for spot in referral.spots} == set(referral.fields)
        page = pages[referral.pages[0] - 1].convert("L")
        for spot in referral.spots:
            left, top, right, bottom = spot.box
            assert 0 <= left < right <= 1
            assert 0 <= top < bottom <= 1
            box = (int(left * page.width), int(top * page.height), int(right * page.width), int(bottom * page.height))
            assert page.crop(box).getextrema()[0] == 0, spot.field


def test_a_fax_for_two_patients_holds_two_referrals_on_pages_of_their_own() -> None:
    pages, fax = make(11, Quality.STANDARD, patients=2)
    one, two = fax.referrals
    assert not set(one.pages) & set(two.pages)
    assert one.fields["patient.identifiers(type=MR).value"] != two.fields["patient.identifiers(type=MR).value"]
    assert len(pages) == fax.pages


def test_the_truth_is_written_beside_the_fax(tmp_path: Path) -> None:
    pages, fax = make(2, Quality.POOR)
    file = write(tmp_path, "one", pages, fax)
    assert msgspec.json.decode(file.with_suffix(".json").read_bytes(), type=Fax) == fax


def test_npis_have_a_right_check_digit() -> None:
    assert npi("123456789") == "1234567893"  # the example of CMS
    assert len({provider.npi for provider in providers()}) == len(providers())
