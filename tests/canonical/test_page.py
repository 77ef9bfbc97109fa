"""The one page model: frames, boxes and the JSON form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.page import (
    WHOLE,
    Box,
    Line,
    Page,
    PageDocument,
    SourceKind,
    Word,
    box_around,
    from_json,
    to_json,
)

share = st.integers(0, 1024).map(lambda n: n / 1024)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    left, right = sorted((draw(share), draw(share)))
    top, bottom = sorted((draw(share), draw(share)))
    return Box(left, top, right, bottom)


@given(boxes(), st.sampled_from([0, 90, 180, 270]))
def test_a_box_that_is_turned_and_turned_back_is_where_it_was(box: Box, degrees: int) -> None:
    assert box.turned(degrees).turned(-degrees) == box


@given(boxes())
def test_four_quarter_turns_are_none(box: Box) -> None:
    assert box.turned(90).turned(90) == box.turned(180)
    assert box.turned(180).turned(90) == box.turned(270)


def test_a_clockwise_quarter_turn_takes_the_left_edge_to_the_top() -> None:
    assert Box(0.0, 0.25, 0.125, 0.5).turned(90) == Box(0.5, 0.0, 0.75, 0.125)


def test_a_page_is_turned_by_quarters_only() -> None:
    with pytest.raises(ValueError, match="quarters"):
        WHOLE.turned(45)


@given(boxes(), boxes())
def test_overlap_is_symmetric_and_a_share(one: Box, other: Box) -> None:
    assert one.overlap(other) == other.overlap(one)
    assert 0 <= one.overlap(other) <= 1


@given(st.lists(boxes(), min_size=1))
def test_the_box_around_boxes_holds_the_centre_of_each(found: list[Box]) -> None:
    around = box_around(found)
    assert all(around.contains(box) for box in found)


def test_a_box_on_a_page_that_lay_upside_down_is_found_on_its_picture() -> None:
    page = Page(number=1, rotation=180)
    assert page.on_image(Box(0.0, 0.0, 0.25, 0.125)) == Box(0.75, 0.875, 1.0, 1.0)


@given(st.text(), boxes(), st.one_of(st.none(), share))
def test_the_json_form_is_the_same_document_and_the_same_bytes(text: str, box: Box, confidence: float | None) -> None:
    word = Word(text=text, box=box, confidence=confidence)
    document = PageDocument(source=SourceKind.OCR, pages=(Page(number=1, lines=(Line(words=(word,), box=box),)),))
    assert from_json(to_json(document)) == document
    assert to_json(from_json(to_json(document))) == to_json(document)


def test_a_page_prints_no_word_of_it() -> None:
    page = Page(number=1, lines=(Line(words=(Word(text="Testpatient", box=WHOLE),), box=WHOLE),))
    assert "Testpatient" not in repr(page) + str(page) + repr(page.lines[0].words[0])
    assert page.text == "Testpatient"
