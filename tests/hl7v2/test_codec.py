"""What the codec remarks on: odd things about the form of a message that must not stay unsaid."""

from __future__ import annotations

import pytest

from connectors.hl7v2.codec import Er7Codec
from tests.hl7v2.messages import siu

HEAD = b"MSH|^~\\&|A|B|||20260310||SIU^S12|1|P|2.5.1\r"


@pytest.mark.parametrize(("raw", "remarks"), [
    (siu(), []),
    (siu().replace(b"\r", b"\n"), [("hl7.line_ends", "")]),
    (b"hello\r" + HEAD, [("hl7.junk_before_header", "byte 0")]),
    (HEAD + b"PID|1||X||M\xc3\xbcller\r", [("hl7.charset_undeclared", "MSH-18")]),
    (HEAD.replace(b"2.5.1", b"2.5.1||||||ASCII") + b"PID|1||X||M\xfcller\r", [("hl7.charset_mismatch", "MSH-18")]),
    (HEAD + b"SCH|1\rRGS|1\rNTE|1||whose?\r", [("hl7.note_ambiguous", "line 4")]),
    (HEAD.replace(b"^~\\&", b"^~\\&#") + b"PID|1||X||Abc#^Eva~#^Z\rPV1|1||Not \\P\\\r", [("hl7.truncated", "PID-5")]),
    (HEAD + b"PID|1||X||Abc#^Eva\r", []),
])
def test_the_form_is_remarked_on(raw: bytes, remarks: list[tuple[str, str]]) -> None:
    """P02, P04, P10, C03, L01: recorded with the message by the translator; a usual message has nothing to remark on."""
    codec = Er7Codec()
    assert [(one.code, one.at) for one in codec.remarks(codec.decode(raw))] == remarks
