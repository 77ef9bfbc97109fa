"""Character sets: found by mark, by MSH-18, by the partner's default, and never at the cost of a byte."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canonical.findings import Rejection
from connectors.hl7v2.charsets import TABLE_0211, codec_of, decode
from connectors.hl7v2.er7 import Message, parse


def message(declared: str, name: bytes) -> bytes:
    """A message with MSH-18 and a name."""
    head = rb"MSH|^~\&|A|B|||20260310||ADT^A08|1|P|2.5||||||"
    return head + declared.encode() + b"\rPID|1||X||" + name + b"\r"


def name_of(parsed: Message) -> str:
    patient = parsed.first("PID")
    assert patient is not None
    return patient.field(5)


@pytest.mark.parametrize(("declared", "codec"), [
    ("UNICODE UTF-8", "utf-8"), ("8859/1", "latin-1"), ("8859/15", "iso8859-15"), ("UTF-8~UNICODE", "utf-8"),
    (" unicode utf-8 ", "utf-8"), ("ISO-8859-2", "iso8859-2"), ("windows-1252", "cp1252"),
])
def test_the_declared_set_is_used(declared: str, codec: str) -> None:
    """C01: MSH-18, first repetition; table 0211 names and those that senders write."""
    raw = message(declared, "Müller".encode(codec))
    parsed = parse(raw, charset="ASCII")
    assert name_of(parsed) == "Müller"
    assert parsed.emit() == raw
    assert parsed.findings == ()


@pytest.mark.parametrize(("declared", "codec", "name"), [
    ("GB 18030-2000", "gb18030", "王小明"), ("BIG-5", "big5", "許功蓋"), ("KS X 1001", "euc_kr", "김철수"),
    ("~ISO IR87", "iso2022_jp_2", "山田"), ("ISO IR87", "iso2022_jp_2", "山田"),
])
def test_delimiters_inside_characters_of_several_bytes_are_not_delimiters(declared: str, codec: str,
                                                                         name: str) -> None:
    """C01, E09: decoded before it is split (許功蓋 holds a backslash byte in Big5)."""
    raw = message(declared, name.encode(codec))
    parsed = parse(raw, charset="ISO IR87" if declared.startswith("~") else "")
    assert name_of(parsed) == name
    assert parsed.emit() == raw


@pytest.mark.parametrize(("mark", "codec"), [
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF32_LE, "utf-32-le")])
def test_a_byte_order_mark_comes_first(mark: bytes, codec: str) -> None:
    """C01: whatever MSH-18 says; it is written again."""
    raw = mark + message("8859/1", "Łukasz".encode()).decode().encode(codec)
    parsed = parse(raw)
    assert name_of(parsed) == "Łukasz"
    assert parsed.emit() == raw


def test_the_default_of_the_partner_fills_the_gap() -> None:
    """C01: only where the message declares nothing."""
    assert name_of(parse(message("", b"M\xfcller"), charset="8859/1")) == "Müller"
    assert name_of(parse(message("8859/1", b"M\xfcller"), charset="UTF-8")) == "Müller"
    assert parse(message("", b"M\xfcller"), charset="8859/1").findings == ()


@pytest.mark.parametrize(("declared", "name", "code"), [
    ("UNICODE UTF-8", b"M\xfcller", "hl7.charset_mismatch"),
    ("ASCII", "Müller".encode(), "hl7.charset_mismatch"),
    ("KLINGON", "Müller".encode(), "hl7.charset_unknown"),
    ("", "Müller".encode(), "hl7.charset_undeclared"),
    ("", b"M\xfcller", "hl7.charset_mismatch"),
    ("BIG-5", b"\xff\xfe", "hl7.charset_mismatch"),
])
def test_a_wrong_declaration_keeps_the_bytes_and_is_reported(declared: str, name: bytes, code: str) -> None:
    """C03: no U+FFFD, no guess."""
    raw = message(declared, name)
    parsed = parse(raw)
    assert [finding.code for finding in parsed.findings] == [code]
    assert parsed.findings[0].at == "MSH-18"
    assert "\ufffd" not in name_of(parsed)
    assert parsed.emit() == raw


def test_what_we_write_is_encoded_as_the_message_declares() -> None:
    """C01 for output: `charset`, else MSH-18, else UTF-8."""
    built = Message.build()
    built.add("PID").set(5, "Müller")
    assert "Müller".encode() in built.emit()
    built.segments[0].set(18, "8859/1")
    assert b"M\xfcller" in built.emit()
    built.segments[0].set(18, "ASCII")
    with pytest.raises(Rejection) as caught:
        built.emit()
    assert caught.value.findings[0].code == "hl7.cannot_encode"
    assert "ller" not in str(caught.value)


def test_every_name_of_the_table_has_a_codec_or_keeps_bytes() -> None:
    """C01: table 0211."""
    for name, codec in TABLE_0211.items():
        assert codec_of(name) in {codec, ""}
        codecs.lookup(codec)
    assert codec_of("hex") == ""
    assert codec_of("\0") == ""


@given(st.binary(max_size=60), st.sampled_from(["", *TABLE_0211, "KLINGON"]),
       st.sampled_from(["", "8859/1", "BIG-5"]))
def test_no_byte_is_ever_lost(body: bytes, declared: str, default: str) -> None:
    """C03, C05"""
    raw = message(declared, body)
    text, codec, mark, _ = decode(raw, default)
    assert mark + text.encode(codec or "ascii", "surrogateescape") == raw


@pytest.mark.parametrize("declared", ["ASCII~ISO IR87", "ISO IR6~ISO IR14~ISO IR87", "8859/1~ISO IR87", "~ISO IR159"])
def test_the_other_sets_of_msh_18_are_switched_to_by_escape_sequences(declared: str) -> None:
    """C02: the first set is what a message begins with; ESC $ B and the like switch (ISO 2022, MSH-20)."""
    raw = message(declared, "Yamada^Tarou~山田^太郎".encode("iso2022_jp_2"))
    assert b"\x1b$B" in raw
    parsed = parse(raw)
    assert name_of(parsed) == "Yamada^Tarou~山田^太郎"
    assert parsed.findings == ()
    assert parsed.emit() == raw


def test_sets_that_are_never_switched_to_change_nothing() -> None:
    """C02: without escape sequences the first set counts."""
    raw = message("8859/1~ISO IR87", "Müller".encode("latin-1"))
    assert name_of(parse(raw)) == "Müller"


def test_a_switch_that_cannot_be_followed_is_kept_and_flagged() -> None:
    """C02, C03: DICOM's way of Korean, which Python has no codec for."""
    raw = message("ASCII~ISO IR87", b"\x1b$)C\xb1\xe8")
    parsed = parse(raw)
    assert [found.code for found in parsed.findings] == ["hl7.charset_mismatch"]
    assert parsed.emit() == raw
