"""Cutting files into messages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.findings import Rejection
from connectors.hl7v2.batch import Part, split_batch
from tests.hl7v2.messages import sample_files

ONE = b"MSH|^~\\&|A||||||ADT^A08|1|P|2.5\rPID|1||X MSH|y\r"
TWO = b"MSH|^~\\&|A||||||ADT^A08|2|P|2.5\rPID|1||Y\r"


def test_a_file_of_batches_gives_its_messages_and_its_headers() -> None:
    """B01"""
    parts = list(split_batch([b"FHS|^~\\&\rBHS|^~\\&\r", ONE, TWO, b"BTS|2\rBHS|^~\\&\rBTS|0\rFTS|2\r"]))
    headers = [part.raw[:3].decode() for part in parts if not part.is_message]
    assert headers == ["FHS", "BHS", "BTS", "BHS", "BTS", "FTS"]
    assert [part.raw for part in parts if part.is_message] == [ONE, TWO]


@pytest.mark.parametrize(("raw", "messages"), [
    (ONE + TWO, [ONE, TWO]),
    (ONE, [ONE]),
    (b"\n\xef\xbb\xbf"[1:] + ONE + TWO, [b"\xef\xbb\xbf" + ONE, TWO]),
    (b"some words\n" + ONE + b"more words\r" + TWO, [b"some words\n" + ONE + b"more words\r", TWO]),
    (b"\x0b" + ONE + b"\x1c\r\x0b" + TWO + b"\x1c\r", [b"\x0b" + ONE + b"\x1c\r", b"\x0b" + TWO + b"\x1c\r"]),
    (b"", []),
    (b"no header at all\r", [b"no header at all\r"]),
    (b"BHS|^~\\&\rBTS|0\r", []),
])
def test_concatenation_and_odd_files(raw: bytes, messages: list[bytes]) -> None:
    """B01, B07: no headers, marks, commentary, framing bytes, nothing."""
    assert [part.raw for part in split_batch([raw]) if part.is_message] == messages


def test_memory_is_bounded_by_the_largest_message() -> None:
    """B06: the next chunk is read only when the messages of the last one were taken."""
    read = 0

    def chunks() -> Iterator[bytes]:
        nonlocal read
        for _ in range(10_000):
            read += 1
            yield ONE

    parts = split_batch(chunks())
    for _ in range(3):
        next(parts)
    assert read < 10
    assert sum(1 for _ in parts) == 9_997


def test_a_message_without_end_is_rejected() -> None:
    """B06, F07"""
    with pytest.raises(Rejection) as caught:
        list(split_batch((b"x" * 100 for _ in range(100)), max_bytes=1000))
    assert caught.value.findings[0].code == "hl7.message_too_large"


@given(st.lists(st.sampled_from([ONE, TWO, b"BHS|^~\\&\r\n", b"BTS|1\r", b"FTS\r", b"words\n", b"\r\n", b"MS"]),
                max_size=8), st.integers(1, 40))
def test_parts_put_together_are_the_file_however_it_is_read(pieces: list[bytes], size: int) -> None:
    """B01, B06: the cut between chunks does not matter."""
    raw = b"".join(pieces)
    whole = list(split_batch([raw]))
    assert b"".join(part.raw for part in whole) == raw
    assert list(split_batch(raw[at:at + size] for at in range(0, len(raw), size))) == whole


@pytest.mark.parametrize(("name", "messages"), [
    ("batch/python-hl7__sample_file1.hl7", 3), ("batch/python-hl7__sample_bad_file2.hl7", 1),
    ("batch/data-exchange-hl7__GenV1_Batch_No_headers_eightMSHs.txt", 8),
    ("batch/ruby-hl7__realm-batch.hl7", 2)])
def test_sample_batches(name: str, messages: int) -> None:
    """B01: files of others."""
    [path] = [path for path in sample_files() if path.as_posix().endswith(name)]
    parts = list(split_batch([path.read_bytes()]))
    assert sum(part.is_message for part in parts) == messages
    assert all(isinstance(part, Part) for part in parts)
