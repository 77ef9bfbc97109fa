"""MLLP framing, cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.hl7v2.framing import Deframer, can_be_framed, frame


@pytest.mark.parametrize("strict", [True, False])
def test_frames_may_be_cut_at_every_point(strict: bool) -> None:
    """F01, F02: also between 1C and 0D; several frames in one read."""
    contents = [b"MSH|one\rPID|1\r", b"", b"MSH|two\r", b"x"]
    data = b"".join(frame(content) for content in contents)
    for first in range(len(data) + 1):
        for second in range(first, len(data) + 1, 3):
            deframer = Deframer(1000, strict=strict)
            got = deframer.feed(data[:first]) + deframer.feed(data[first:second]) + deframer.feed(data[second:])
            assert got == contents
            assert deframer.stray == 0
            assert not deframer.in_frame


def test_one_byte_at_a_time() -> None:
    """F01, F08: a slow peer."""
    deframer = Deframer(1000)
    data = frame(b"one") + frame(b"two")
    got = [content for at in range(len(data)) for content in deframer.feed(data[at:at + 1])]
    assert got == [b"one", b"two"]


def test_bytes_outside_frames_are_counted_and_dropped() -> None:
    """F03, F04: resynchronise on the next 0B."""
    deframer = Deframer(1000)
    data = b"junk" + frame(b"one") + b"\r\n" + frame(b"two") + b"MSH|lost start\x1c\r"
    assert deframer.feed(data) == [b"one", b"two"]
    assert deframer.stray == 4 + 2 + 16
    assert deframer.feed(frame(b"three")) == [b"three"]


def test_control_bytes_inside_content_do_not_split_it() -> None:
    """F06"""
    content = b"a\x1cb\x0bc\x1c\x1cd\x1c"
    deframer = Deframer(1000)
    data = frame(content)
    for at in range(len(data)):
        assert deframer.feed(data[:at]) + deframer.feed(data[at:]) == [content]
    assert can_be_framed(content)
    assert not can_be_framed(b"a\x1c\rb")


def test_a_lenient_reader_does_not_wait_for_the_last_byte() -> None:
    """F05"""
    deframer = Deframer(1000, strict=False)
    assert deframer.feed(b"\x0bone\x1c") == [b"one"]
    assert deframer.feed(b"\r\x0btwo\x1c\x0bthree\x1c") == [b"two", b"three"]
    assert deframer.stray == 0
    assert Deframer(1000).feed(b"\x0bone\x1c\x0btwo\x1c") == []


@pytest.mark.parametrize("size", [1, 7, 5000])
def test_the_limit_holds_while_reading(size: int) -> None:
    """F07: what exceeds it is never gathered; frames before it are given."""
    deframer = Deframer(100)
    data = frame(b"ok") + b"\x0b" + b"x" * 5000 + b"\x1c\r" + frame(b"never")
    got = [content for at in range(0, len(data), size) for content in deframer.feed(data[at:at + size])]
    assert got == [b"ok"]
    assert deframer.oversize == b"x" * 100
    assert Deframer(100).feed(frame(b"x" * 100)) == [b"x" * 100]


def test_what_came_of_an_unfinished_frame_can_be_kept() -> None:
    """F09"""
    deframer = Deframer(1000)
    deframer.feed(b"\x0bMSH|hal")
    assert deframer.in_frame
    assert deframer.partial == b"MSH|hal"


_CONTENT = st.binary(max_size=30).map(lambda raw: raw.replace(b"\x1c\r", b""))


@given(st.lists(_CONTENT, max_size=5), st.lists(st.integers(1, 12), min_size=1))
def test_any_contents_in_any_cuts(contents: list[bytes], sizes: list[int]) -> None:
    """F01, F02, F06"""
    contents = [content for content in contents if can_be_framed(content) and not content.endswith(b"\x1c")]
    data = b"".join(frame(content) for content in contents)
    deframer = Deframer(1000)
    got: list[bytes] = []
    at = turn = 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        got += deframer.feed(data[at:at + size])
        at, turn = at + size, turn + 1
    assert got == contents
    assert deframer.stray == 0
