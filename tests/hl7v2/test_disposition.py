"""The NAK table (A11)."""

from __future__ import annotations

import msgspec
import pytest

from connectors.hl7v2.disposition import Answer, Disposition, DispositionRule, disposition, read_answer
from connectors.hl7v2.er7 import parse


@pytest.mark.parametrize(("code", "condition", "what"), [
    ("AA", "", "delivered"), ("CA", "", "delivered"), ("AA", "0", "delivered"),
    ("AE", "100", "fix-data"), ("AE", "101", "fix-data"), ("CE", "102", "fix-data"), ("AE", "103", "fix-data"),
    ("AE", "204", "retry"), ("AE", "205", "duplicate"), ("AE", "206", "retry"), ("AR", "206", "retry"),
    ("AE", "207", "retry"), ("AR", "207", "retry"), ("AR", "200", "fix-config"), ("CR", "201", "fix-config"),
    ("AR", "202", "fix-config"), ("AR", "203", "fix-config"), ("AR", "", "retry"), ("CR", "", "retry"),
    ("AE", "", "fix-data"), ("AE", "LOCAL7", "fix-data"), ("OK", "", "unknown"), ("", "", "unknown")])
def test_the_default_table(code: str, condition: str, what: str) -> None:
    """A11"""
    assert disposition(Answer(code, condition, "")) == Disposition(what)


def test_a_partner_s_rows_come_first() -> None:
    """A11: code, condition and text; the first row that matches counts."""
    rules = (DispositionRule(codes=frozenset({"AE"}), text=r"already (exists|booked)", disposition=Disposition.DELIVERED),
             DispositionRule(conditions=frozenset({"none"}), codes=frozenset({"AR"}), disposition=Disposition.FIX_DATA))
    assert disposition(Answer("AE", "103", "Appointment ALREADY BOOKED"), rules) is Disposition.DELIVERED
    assert disposition(Answer("AE", "103", "wrong"), rules) is Disposition.FIX_DATA
    assert disposition(Answer("AR", "", ""), rules) is Disposition.FIX_DATA
    assert disposition(Answer("AR", "207", ""), rules) is Disposition.RETRY


def test_a_row_with_a_broken_expression_is_refused_when_it_is_read() -> None:
    """Bad configuration is found before anything starts."""
    with pytest.raises(msgspec.ValidationError, match="regular expression"):
        msgspec.convert({"text": "(", "disposition": "retry"}, DispositionRule)


@pytest.mark.parametrize(("segments", "answer"), [
    ("MSA|AE|1|words\rERR||PID^1^3|103^Not found^HL70357|E||||more", Answer("AE", "103", "words more")),
    ("MSA|AE|1|words\rERR|PID^1^3^103&Not found&HL70357", Answer("AE", "103", "words ")),
    ("MSA|ar|1||||207^Internal^HL70357", Answer("AR", "207", " ")),
    ("MSA|AA|1", Answer("AA", "", " ")),
    ("ERR|||207", Answer("", "207", "")),
    ("MSA|AE|1\rERR||A~B|101^x~102^y", Answer("AE", "101", " "))])
def test_error_codes_are_found_in_every_version(segments: str, answer: Answer) -> None:
    """A07: ERR-3 from 2.5, ERR-1.4 before, MSA-6 before that."""
    head = r"MSH|^~\&|A|B|C|D|20260310||ACK|1|P|2.5" "\r"
    assert read_answer(parse((head + segments + "\r").encode())) == answer
