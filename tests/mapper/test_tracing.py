"""Lineage, unread input, silent rows (rules 6 and 10), the cases runner and the comparison of revisions."""

from __future__ import annotations

from pathlib import Path

import pytest

from canonical.model import Appointment
from mapper import cases
from mapper.cases import CaseResult, Suite
from mapper.compare import Comparison, Sample, compare
from mapper.library import Library
from mapper.mapping import ReadContext, covered, leaves
from mapper.recorder import Lineage
from tests.mapper.house import BOOKING, CONTEXT, FORMATS, TABLES, edited, files, library, message, read


def lineage(wire: object, site: str = "", name: str = "hl7v2/visit") -> dict[str, Lineage]:
    trace = library().mapping(name, site).trace(wire, CONTEXT)
    return {entry.field: entry for entry in trace.lineage[0]}


def line_of(path: str, words: str) -> int:
    return next(number for number, text in enumerate((TABLES / path).read_text().splitlines(), 1) if words in text)


def test_every_leaf_has_a_lineage_and_no_other() -> None:
    """Rule 10"""
    event = read(message()).events[0]
    assert set(lineage(message())) == set(leaves(event.entity))


def test_a_lineage_names_the_place_the_rows_and_the_code_row() -> None:
    found = lineage(message())
    assert found["participants(1).who.name.family"].source == "RESOURCES/PERSONNEL_RESOURCE(2)/AIP-3.2"
    assert found["participants(1).who.name.family"].row.startswith("hl7v2/types/XCN.yaml:5:")
    assert found["participants(1).who.name.family"].via.startswith(
        f"hl7v2/visit.yaml:{line_of('hl7v2/visit.yaml', 'who: {path')}:"
    )
    assert found["patient.identifiers(1).value"].source == "PATIENT/PID-3(2)"
    assert found["comments(1)"].source == "NTE(2)-3"
    assert found["services(0).comments(0)"].source == "RESOURCES/SERVICE/NTE-3"
    assert found["status"].code_row.startswith(f"vocab/status.yaml:{line_of('vocab/status.yaml', 'source: Booked')}:")
    assert found["type.coding(1).code"].code_row.startswith("vocab/visit_type.yaml:5:")
    assert (found["participants(0).kind"].how, found["participants(0).kind"].source) == ("row", "")


def test_defaults_and_rules_are_told_apart_from_values() -> None:
    assert lineage(message())["participants(1).status"].how == "default"
    assert lineage(message(event="S15"))["status"].how == "rule"
    assert lineage(message())["status"].how == "value"
    assert lineage(edited(TQ1_7="20260310143000"), site="north")["time_basis"].how == "rule"


def test_the_place_of_a_fact_at_two_places_is_the_one_that_counted() -> None:
    assert lineage(message())["start"].source == "TQ1-7"
    assert lineage(edited(TQ1_7=""))["start"].source == "SCH-11.4"


@pytest.mark.parametrize("event", ["S12", "S14", "S15"])
def test_the_traced_run_reproduces_the_values(event: str) -> None:
    for site in ("", "north"):
        mapping = library().mapping("hl7v2/visit", site)
        assert mapping.trace(message(event=event), CONTEXT).reading == mapping.read(message(event=event), CONTEXT)


def test_input_that_no_row_looked_at_is_listed() -> None:
    """Rule 6"""
    wire = message(*BOOKING, "ZZZ|1|x^y")
    trace = library().mapping("hl7v2/visit").trace(wire, CONTEXT)
    unread = [place.rpartition("/")[2] for place in trace.unread]
    assert unread == [
        "SCH-11.3",
        "TQ1-1",
        "NTE-1",
        "NTE(2)-1",
        "PID-1",
        "PV1-1",
        "PV1-2",
        "RGS-1",
        "RGS-2",
        "NTE-1",
        "ZZZ-1",
        "ZZZ-2",
        "ZZZ-2.2",
    ]
    assert [place.rpartition("/")[2] for place in trace.undeclared] == [
        "SCH-11.3",
        "PV1-1",
        "PV1-2",
        "ZZZ-1",
        "ZZZ-2",
        "ZZZ-2.2",
    ]


def test_what_a_second_table_reads_is_read() -> None:
    """`also`: S14 is read by two tables."""
    trace = library().mapping("hl7v2/visit").trace(message(event="S14"), CONTEXT)
    assert len(trace.lineage) == 2
    assert {entry.field for entry in trace.lineage[1]} >= {"identifiers(0).value", "birth_date"}


def test_rows_that_gave_nothing_are_listed() -> None:
    silent = library().mapping("hl7v2/visit").trace(message(), CONTEXT).silent
    lines = {int(row.split(":")[1]) for row in silent if row.startswith("hl7v2/visit.yaml")}
    assert line_of("hl7v2/visit.yaml", "occurrence: SCH-3") in lines
    assert line_of("hl7v2/visit.yaml", "  status: {path: SCH-25") not in lines


@pytest.mark.parametrize(
    ("place", "pattern", "yes"),
    [
        ("RESOURCES/SERVICE(2)/AIS-10.2", "AIS-10", True),
        ("RESOURCES/SERVICE(2)/AIS-10.2", "RESOURCES/SERVICE/AIS-10", True),
        ("RESOURCES/SERVICE(2)/AIS-10", "AIS-1", False),
        ("PID-3(2).4", "PID-3", True),
        ("PID-3(2).4", "PID-3(2)", True),
        ("PID-3(2).4", "PID-3.4", True),
        ("PID-3(2).4", "PID-3.1", False),
        ("ZAP-1", "ZAP", True),
        ("entry(0).x.y", "entry.x", True),
    ],
)
def test_a_place_is_meant_by_itself_and_what_stands_above_it(place: str, pattern: str, yes: bool) -> None:
    assert covered(place, [pattern]) is yes


# -- cases --------------------------------------------------------------------------------------------------


def run(tmp_path: Path, text: str, name: str = "hl7v2/visit") -> Suite:
    """The suite of one file of cases, beside the house's tables."""
    file = tmp_path / f"{name}.tests.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    (file.parent / "booking.hl7").write_bytes(message().emit())
    return cases.run_file(library(), tmp_path, file)


def one(tmp_path: Path, case: str) -> CaseResult:
    suite = run(tmp_path, f"tests:\n  - name: it\n{case}")
    assert not suite.problems, [str(found) for found in suite.problems]
    return suite.results[0]


PASSING = [
    "    in: booking.hl7\n    event: appointment.booked\n    subject: appointment:CLINIC|F1\n"
    "    patient: patient:CLINIC|100\n",
    "    in: booking.hl7\n    expect: {start: 2026-03-10T14:30:00-05:00, occurrence: $absent, visit: {service: "
    "$any}}\n",
    "    in: booking.hl7\n    expect: {participants: [{status: accepted}, {status: tentative}, {place: {room: "
    "'201'}}]}\n",
    "    in: booking.hl7\n    expect: {'participants(kind=location).place.room': '201', "
    "'patient.names(0).given(1)': Quill, update_mode: 'true'}\n",
    "    in: booking.hl7\n    unread: [SCH-11.3, PV1-1, PV1-2]\n",
    "    in: booking.hl7\n    events: [appointment.booked]\n",
    "    in: |\n      MSH|^~\\&|A|B|C|D|20260301120000-0500||SIU^S25|1|P|2.5.1\n      SCH|1\n    events: []\n",
    "    in: |\n      MSH|^~\\&|A|B|C|D|20260301120000-0500||SIU^S12|1|P|2.5.1\n      SCH|1\n"
    "    error: {field: start, code: map.required}\n",
    "    from: {event: appointment.cancelled, entity: {entity: Appointment, status: cancelled, event_reason: "
    "$clear, occurrence: '3'}}\n"
    "    context: {sending_application: LAB}\n"
    "    out: {SCH-25: Cancelled, MSH-9.2: S15, MSH-3: LAB, SCH-6: $clear, SCH-3: '3', SCH-1: $absent}\n",
    "    from: {event: appointment.booked, entity: {entity: Appointment, status: waitlist}}\n"
    "    context: {sending_application: L}\n    findings: [map.unmapped]\n",
]
FAILING = [
    ("    in: booking.hl7\n    event: appointment.cancelled\n", "event"),
    ("    in: booking.hl7\n    expect: {start: 2026-03-10T14:31:00-05:00}\n", "start"),
    ("    in: booking.hl7\n    expect: {occurrence: $any}\n", "occurrence"),
    ("    in: booking.hl7\n    expect: {start: $absent}\n", "start"),
    ("    in: booking.hl7\n    expect: {participants: [{status: accepted}]}\n", "participants"),
    ("    in: booking.hl7\n    expect: {strat: x}\n", "table.unknown_field"),
    ("    in: booking.hl7\n    unread: []\n", "unread"),
    ("    in: booking.hl7\n    unread: [PV1-1, PV1-2, ZAP-9]\n", "unread"),
    ("    in: booking.hl7\n    findings: [map.conflict]\n", "findings"),
    ("    in: booking.hl7\n    error: {code: map.required}\n", "error"),
    ("    in: nothing.hl7\n    event: x\n", "case.no_input"),
    ("    in: booking.hl7\n    site: nort\n    event: x\n", "table.no_such_site"),
    ("    in: booking.hl7\n    roundtrip: yes\n", "roundtrip"),
    ("    in: booking.hl7\n    events: [a, b]\n", "events"),
    (
        "    from: {event: appointment.booked, entity: {entity: Appointment}}\n"
        "    context: {sending_application: L}\n    out: {SCH-25: Booked}\n",
        "SCH-25",
    ),
    (
        "    from: {event: appointment.booked, entity: {entity: Appointment, strat: x}}\n    out: {SCH-25: Booked}\n",
        "document.value",
    ),
    (
        "    from: {event: appointment.booked, entity: {entity: Appointment}}\n"
        "    context: {sending_application: L}\n    out: {SCH-99: x}\n",
        "table.unknown_path",
    ),
    (
        "    from: {event: appointment.booked, entity: {entity: Appointment}}\n    out: {SCH-25: $absent}\n",
        "findings",
    ),
]


@pytest.mark.parametrize("case", PASSING)
def test_a_case_that_holds_passes(tmp_path: Path, case: str) -> None:
    assert one(tmp_path, case).mismatches == ()


@pytest.mark.parametrize(("case", "what"), FAILING)
def test_a_case_that_does_not_hold_fails_and_says_where(tmp_path: Path, case: str, what: str) -> None:
    result = one(tmp_path, case)
    assert not result.passed
    assert what in [mismatch.what for mismatch in result.mismatches]
    assert all(mismatch.row.startswith(("hl7v2/visit.tests.yaml:", ":0")) for mismatch in result.mismatches)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("tests:\n  - {name: x, in: booking.hl7, expct: {}}\n", "document.unknown_key"),
        ("tests:\n  - {name: x, in: booking.hl7}\n", "case.incomplete"),
        ("tests:\n  - {name: x, from: {}}\n", "case.incomplete"),
        ("test: []\n", "document.unknown_key"),
        ("mapping: x\n", "document.missing"),
        ("tests: [\n", "document.syntax"),
    ],
)
def test_a_file_that_could_not_fail_is_an_error(tmp_path: Path, text: str, code: str) -> None:
    """A misspelt key never passes silently."""
    suite = run(tmp_path, text)
    assert not suite.passed
    assert [found.code for found in suite.problems] == [code]


def test_a_message_in_our_own_form_makes_the_round_trip(tmp_path: Path) -> None:
    own = (
        "MSH|^~\\&|A|B|C|D|20260301120000-0500||SIU^S12^SIU_S12|1|P|2.5.1\n      SCH||F1^C\n"
        "      TQ1|1||||||20260310143000-0500\n      NTE|1||x \\T\\ y\n"
    )
    result = one(
        tmp_path,
        f"    in: |\n      {own.replace('SCH||F1^C', 'SCH||F1^C|||||||||||||||||||||||Booked')}    roundtrip: yes\n",
    )
    assert result.mismatches == ()


# -- compare ------------------------------------------------------------------------------------------------


def compared(**edits: tuple[str, str]) -> Comparison:
    """The tables with words replaced, over three messages."""
    content = files()
    for path, (old, new) in edits.items():
        name = f"{path.replace('__', '/')}.yaml"
        assert old.encode() in content[name]
        content[name] = content[name].replace(old.encode(), new.encode())
    after = Library(content, FORMATS)
    samples = [
        Sample(wire, ReadContext(message_id=f"M{number}", channel="c", received_at=1))
        for number, wire in enumerate([message(), message(event="S14"), edited(SCH_25="Noshow")])
    ]
    return compare(library().mapping("hl7v2/visit"), after.mapping("hl7v2/visit"), samples)


def test_a_comment_changes_nothing() -> None:
    found = compared(vocab__sex=("vocab: sex", "vocab: sex # of the sender"))
    assert (found.messages, found.unchanged, found.changes) == (3, 3, ())


def test_a_code_row_shows_its_effect_grouped_by_field_and_cause() -> None:
    found = compared(vocab__sex=("canonical: female", "canonical: other"))
    assert [(each.what, each.before, each.after, each.messages, each.examples) for each in found.changes] == [
        ("patient.sex", "value", "another value", 3, ("M0", "M1", "M2"))
    ]
    assert found.changes[0].cause == (f"vocab/sex.yaml:{line_of('vocab/sex.yaml', 'female')}:5",)


def test_a_row_that_goes_and_a_trigger_that_changes_are_shown() -> None:
    found = compared(hl7v2__visit=("  occurrence: SCH-3\n  event_reason: SCH-6\n", "  occurrence: SCH-3\n"))
    assert {(each.what, each.before, each.after) for each in found.changes} >= {
        ("event_reason.coding().code", "value", "absent")
    }
    found = compared(hl7v2__visit=("S14: appointment.modified", "S14: ignore"))
    assert {(each.what, each.before, each.after, each.messages) for each in found.changes} >= {
        ("event", "appointment.modified, patient.updated", "patient.updated", 1)
    }


def test_a_code_taken_away_shows_as_a_finding_and_no_value_is_told() -> None:
    found = compared(vocab__status=("  - {source: Noshow, canonical: noshow}\n", ""))
    shown = {(each.what, each.before, each.after) for each in found.changes}
    assert ("event", "appointment.booked", "none") in shown
    assert ("finding status", "none", "map.unmapped") in shown
    assert "Ashby" not in str(found)


def test_leaves_are_the_stated_ones() -> None:
    assert leaves(Appointment(occurrence=None, comments=("a",), extensions={"X-1": "y"})) == [
        "extensions(X-1)",
        "occurrence",
        "comments(0)",
    ]
