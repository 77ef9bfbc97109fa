"""Character sets: HL7 table 0211 names, and decoding that loses no byte (C01, C03).

The text of a message is decoded once, as a whole and before it is split, because the second byte of a Big5,
Shift JIS or GB 18030 character may be the code of a delimiter. Bytes that are not valid in the declared set
become lone surrogates (PEP 383) and come back as the same bytes; they are reported, never replaced.
"""

from __future__ import annotations

import codecs
from functools import lru_cache
from typing import Final, NamedTuple

from canonical.findings import Code, Severity, declare

CHARSET_UNKNOWN: Final = declare(
    "hl7.charset_unknown", Severity.WARNING,
    "MSH-18 names a character set that is not in table 0211",
    "Ask the sender for the real name, or set `charset` for this partner.")
CHARSET_UNDECLARED: Final = declare(
    "hl7.charset_undeclared", Severity.WARNING,
    "The message holds characters beyond ASCII, but MSH-18 is empty and the partner has no default",
    "Set `charset` for this partner, or have the sender fill MSH-18.")
CHARSET_MISMATCH: Final = declare(
    "hl7.charset_mismatch", Severity.WARNING,
    "Some bytes are not valid in the declared character set; they were kept as they are",
    "Find out what the sender really writes and set `charset` for this partner.")

#: HL7 table 0211 (and what senders make of it), upper case, to Python's codec names.
TABLE_0211: Final[dict[str, str]] = {
    "ASCII": "ascii", "US-ASCII": "ascii",
    "8859/1": "iso8859-1", "8859/2": "iso8859-2", "8859/3": "iso8859-3", "8859/4": "iso8859-4",
    "8859/5": "iso8859-5", "8859/6": "iso8859-6", "8859/7": "iso8859-7", "8859/8": "iso8859-8",
    "8859/9": "iso8859-9", "8859/15": "iso8859-15",
    "UNICODE UTF-8": "utf-8", "UNICODE": "utf-8", "UTF-8": "utf-8", "UTF8": "utf-8",
    "UNICODE UTF-16": "utf-16", "UNICODE UTF-32": "utf-32",
    "ISO IR6": "ascii", "ISO IR14": "iso2022_jp_2", "ISO IR87": "iso2022_jp_2", "ISO IR159": "iso2022_jp_2",
    "GB 18030-2000": "gb18030", "KS X 1001": "euc_kr", "CNS 11643-1992": "iso2022_jp_2", "BIG-5": "big5",
}
_UNTABLED: Final[frozenset[str]] = frozenset({"CNS 11643-1992"})  # no codec in Python: bytes are kept
_ESCAPE: Final = b"\x1b"


class Text(NamedTuple):
    """A decoded message and how it was decoded."""

    text: str
    codec: str
    """Python codec that gives the bytes back (with ``surrogateescape``)."""
    mark: bytes
    """The byte order mark found, to be written again."""
    problem: Code | None


@lru_cache(maxsize=256)
def codec_of(name: str) -> str:
    """Python's codec for a table 0211 name, an IANA name or a Python name; empty where there is none."""
    wanted = name.strip().upper()
    if not wanted or wanted in _UNTABLED:
        return ""
    if wanted in TABLE_0211:
        return TABLE_0211[wanted]
    try:
        info = codecs.lookup(name.strip())
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        return ""
    return info.name if info._is_text_encoding else ""


_MARKS: Final = (  # UTF-32 first: its mark begins with the one of UTF-16
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def decode(raw: bytes, default: str = "") -> Text:
    """Decode by byte order mark, else MSH-18 (first repetition), else `default` (C01). Never raises.

    `default` is a table 0211, IANA or Python name. `Text.text` encodes back to exactly `raw` less its mark.
    """
    if raw.isascii() and _ESCAPE not in raw:
        return Text(raw.decode("ascii"), "", b"", None)
    for mark, codec in _MARKS:
        if raw.startswith(mark):
            return _lossless(raw[len(mark):], codec, mark, None)
    declared, others = _declared(raw)
    if _ESCAPE in raw and (switched := _switched(others)):
        return _lossless(raw, switched, b"", None)
    codec = codec_of(declared)
    if codec:
        return _lossless(raw, codec, b"", None)
    if codec := codec_of(default):
        return _lossless(raw, codec, b"", CHARSET_UNKNOWN if declared else None)
    if raw.isascii():  # escape bytes, and nobody says what they switch to
        return Text(raw.decode("ascii"), "", b"", CHARSET_UNKNOWN if declared else None)
    return _lossless(raw, "utf-8", b"", CHARSET_UNKNOWN if declared else CHARSET_UNDECLARED)


def _lossless(raw: bytes, codec: str, mark: bytes, problem: Code | None) -> Text:
    try:
        text = raw.decode(codec)
        if codec in _EXACT or text.encode(codec) == raw:
            return Text(text, codec, mark, problem)
    except UnicodeError:
        pass
    if codec in _EXACT:
        return Text(raw.decode(codec, "surrogateescape"), codec, mark, CHARSET_MISMATCH)
    # A shift state, an overlong form, half a character: UTF-8 with surrogates is the form that is always exact.
    return Text(raw.decode("utf-8", "surrogateescape"), "utf-8", mark, CHARSET_MISMATCH)


#: Codecs for which ``surrogateescape`` both ways is the identity on all bytes.
_EXACT: Final = frozenset({"ascii", "utf-8", "cp1252", *(f"iso8859-{n}" for n in (*range(1, 10), 15))})


def _switched(names: tuple[str, ...]) -> str:
    """The codec that follows escape sequences between the sets of MSH-18 (C02); empty where no set needs it.

    The first repetition is what a message begins with, the others are switched to (ISO 2022, MSH-20). Python has one
    codec for the sets that Japanese, Korean and Chinese messages combine with ASCII and Latin letters in this way.
    """
    return next((codec for codec in map(codec_of, names) if codec in _SWITCHING), "")


_SWITCHING: Final = frozenset({"iso2022_jp_2"})


def _declared(raw: bytes) -> tuple[str, tuple[str, ...]]:
    """MSH-18, read from the bytes: its first repetition, and all of them."""
    start = raw.find(b"MSH")
    header = raw[start:].split(b"\r", 1)[0].split(b"\n", 1)[0] if start >= 0 else b""
    if len(header) < 9:
        return "", ()
    fields = header.split(header[3:4], 18)
    if len(fields) < 18:
        return "", ()
    repetition = fields[1][1:2] or b"~"
    names = tuple(name.decode("ascii", "replace") for name in fields[17].split(repetition))
    return names[0], names
