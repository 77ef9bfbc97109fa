"""What `check` says about tables: located, with what would be right; and overlays (rule 7)."""

from __future__ import annotations

from typing import Any

import pytest

from canonical.findings import Finding, Rejection, Severity
from mapper import library as libraries
from mapper.explain import explain
from mapper.library import Library, read_folder, revision_of
from mapper.mapping import Mapping
from tests.mapper.house import (
    CONTEXT,
    FORMATS,
    TABLES,
    WRITE,
    changed,
    codes,
    edited,
    files,
    library,
    message,
    only,
    read,
)

HEAD = "mapping: hl7v2/x\nformat: hl7v2/SIU_S12\nentity: Appointment\nevents: {S12: appointment.booked}\n"


def problems(text: str, path: str = "hl7v2__x") -> list[Finding]:
    """What is wrong with the house's tables when this file joins them."""
    return [found for found in changed(**{path: text}).check() if path.replace("__", "/") in found.row]


def only_problem(text: str, path: str = "hl7v2__x") -> str:
    found = problems(text, path)
    assert len(found) == 1, [str(each) for each in found]
    return str(found[0])


def test_the_tables_of_the_tests_are_sound() -> None:
    assert [str(found) for found in library().check()] == []


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            "strat: SCH-11.4",
            "table.unknown_field at hl7v2/x.yaml:6:3: Appointment has no field strat (did you mean start?)",
        ),
        (
            "patient.birthdate: PID-7",
            "table.unknown_field at hl7v2/x.yaml:6:3: Patient has no field birthdate (did you mean birth_date?)",
        ),
        ("start.day: SCH-11.4", "table.unknown_field at hl7v2/x.yaml:6:3: start has no parts"),
        ("comments: NTE(*)-3", "write comments() for its items"),
        ("start(): SCH-11.4", "table.path at hl7v2/x.yaml:6:3: start is one value, not a list"),
        ("Start: SCH-11.4", "table.path at hl7v2/x.yaml:6:3: Start is not a canonical path"),
        ("identifiers(kind=X): SCH-1", "table.unknown_field at hl7v2/x.yaml:6:3: Identifier has no field kind"),
        ("participants(kind=doctor).who: AIP-3", "not a code of ParticipantKind"),
        ("comments(x): NTE-3", "brackets hold nothing, a position or field=value"),
        ("extensions: SCH-26", "extensions are named"),
        ("start: SCH-99", "table.unknown_path at hl7v2/x.yaml:6:14: SCH has no field 99 (SCH has fields up to"),
        (
            "start: SCH-11.99",
            "table.unknown_path at hl7v2/x.yaml:6:17: TQ has no component 99 (TQ has components 1 to",
        ),
        ("start: TQ1-7 | SCH-99", "table.unknown_path at hl7v2/x.yaml:6:22: SCH has no field 99"),
        ("start: XYZ-1", "table.unknown_path at hl7v2/x.yaml:6:10: there is no segment XYZ"),
        ("modality: ZAP-2", "ZAP has no field 2 (declare it under segments"),
        ("start: RESSOURCES(*)/SERVICE/AIS-4", "there is no group RESSOURCES here (groups at this level:"),
        ("comments(0): RESOURCES/NTE-3", "NTE could be in several groups (name one of"),
        ("start: SCH.11", "SCH.11 is not an HL7 path (write SEGMENT-FIELD.COMPONENT"),
        (
            "start: {path: SCH-11.4, requird: yes}",
            "document.unknown_key at hl7v2/x.yaml:6:27: a cell has no key requird (did you mean required?)",
        ),
        (
            "start: {path: SCH-11.4, required: maybe}",
            "document.value at hl7v2/x.yaml:6:37: required is one of yes, no, creating",
        ),
        ("start: {required: yes}", "document.missing at hl7v2/x.yaml:6:10: the key path is missing"),
        ("start: ''", "the cell is empty"),
        ("start: PID-8", "table.no_codec at hl7v2/x.yaml:6:10: PID-8 is IS, start is instant"),
        (
            "patient: PID-3",
            "table.no_codec at hl7v2/x.yaml:6:12: there is no data-type table for CX ↔ Patient (CX has tables "
            "for Identifier)",
        ),
        (
            "status: {path: SCH-25, map: statuss}",
            "vocab.unknown at hl7v2/x.yaml:6:31: there is no code table statuss (did you mean status?)",
        ),
        ("status: {path: SCH-25, map: action}", "action translates to Action, not to AppointmentStatus"),
        ("start: {path: SCH-11.4, map: sex}", "map translates codes, not instant"),
        ("status: {path: SCH-25, map: status, unmapped: pass}", "a code that is no AppointmentStatus cannot pass"),
        ("priority: {path: SCH-25, unmapped: pass}", "unmapped goes with map"),
        (
            "status: {path: SCH-25, map: status, default: bookd}",
            "not a code of AppointmentStatus (did you mean booked?)",
        ),
        ("start: {path: SCH-11.4, default: now}", "a instant cannot be written in a table"),
        ("start: {path: SCH-11.4, as: dat}", "there is no codec dat (did you mean date?)"),
        ("start: {path: SCH-11.4, as: date}", "date has no way back (add only: out)"),
        ("update_mode: {path: AIS-2, as: present}", "present can only be read (add only: in)"),
        ("start: {path: SCH-11.4, as: hours}", "the codec hours does not fit instant"),
        ("start: {path: SCH-11.4, unit: SCH-10}", "unit goes with a duration, or with as: uri"),
        ("start: {path: SCH-11.4, when: SCH-25 is Booked}", "a condition is PATH present"),
        ("start: {path: SCH-11.4, when: SCH-99 present}", "SCH has no field 99"),
        ("comments(): NTE", "NTE is not a value (name a field in it"),
        ("start: {each: NTE(*), fields: {}}", "each fills a list"),
        ("services(): {each: SCH-3, fields: {code: AIS-3}}", "each names a group, a segment or an object"),
        ("services(): {each: RESOURCES(*)/SERVICE(*)}", "each needs fields"),
        ("services(): {fields: {code: AIS-3}}", "fields needs each"),
        (
            "services(): {each: RESOURCES(*)/SERVICE(*), required: yes, fields: {code: AIS-3}}",
            "required does not go with each",
        ),
        (
            "services(): [{each: RESOURCES(*)/SERVICE(*), fields: {code: AIS-3}}]",
            "each cannot be one of several alternatives",
        ),
        (
            "participants(): {each: RESOURCES(*)/PERSONNEL_RESOURCE(*), fields: {who: AIP-3}}",
            "table.incomplete at hl7v2/x.yaml:6:3: Participant needs kind",
        ),
    ],
)
def test_a_wrong_row_is_found_before_any_message_comes(row: str, expected: str) -> None:
    assert expected in only_problem(f"{HEAD}fields:\n  {row}\n")


def test_all_problems_of_a_table_are_told_at_once() -> None:
    found = problems(f"{HEAD}fields:\n  strat: SCH-11.4\n  end: SCH-99\n  patient.sex: PID-8\n  patient: PID-3\n")
    assert codes(found) == ["table.no_codec", "table.unknown_field", "table.unknown_path"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            "  identifiers(type=PLAC): SCH-1\n  identifiers(type=PLAC).value: SCH-2\n",
            "filled as a whole by another row",
        ),
        ("  visit.location: PV1-3\n  visit: PV1-3\n", "no data-type table for PL ↔ Visit"),
        ("  start: SCH-11.4\n  start.x: SCH-11.4\n", "start has no parts"),
        ("  names(): PID-5\n", "Appointment has no field names"),
    ],
)
def test_a_field_has_one_row(rows: str, expected: str) -> None:
    assert expected in " ".join(map(str, problems(f"{HEAD}fields:\n{rows}")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "mapping: hl7v2/x\nformat: hl7v2/SIU_S13X\nentity: Appointment\nfields: {}\n",
            "has no structure SIU_S13X (known: SIU_S12",
        ),
        ("mapping: hl7v2/x\nformat: hl8/SIU_S12\nentity: Appointment\nfields: {}\n", "there is no family hl8"),
        (
            "mapping: hl7v2/x\nformat: hl7v2/SIU_S12\nentity: Apointment\nfields: {}\n",
            "there is no canonical type Apointment (did you mean Appointment?)",
        ),
        ("mapping: hl7v2/x\nformat: hl7v2/SIU_S12\nfields: {}\n", "the key entity is missing"),
        ("mapping: hl7v2/x\nformat: hl7v2/SIU_S12\nentity: Appointment\n", "the key fields is missing"),
        (
            "mapping: hl7v2/y\nformat: hl7v2/SIU_S12\nentity: Appointment\nfields: {}\n",
            "table.wrong_name at hl7v2/x.yaml:1:10",
        ),
        ("mappings: hl7v2/x\n", "table.unknown_kind at hl7v2/x.yaml:1:1"),
        (HEAD + "zone: America/Chikago\nfields: {start: SCH-11.4}\n", "there is no time zone America/Chikago"),
        (HEAD + "zome: America/Chicago\nfields: {start: SCH-11.4}\n", "a table has no key zome (did you mean zone?)"),
        (HEAD + "direction: up\nfields: {start: SCH-11.4}\n", "direction is one of both, in, out"),
        (
            HEAD + "subject: identifers()\nfields: {start: SCH-11.4}\n",
            "Appointment has no field identifers (did you mean identifiers?)",
        ),
        (
            HEAD + "version: {msg7: MSH-7}\nfields: {start: SCH-11.4}\n",
            "version has no key msg7 (did you mean msh7?)",
        ),
        (HEAD + "constants: {MSH-99: x}\nfields: {start: SCH-11.4}\n", "MSH has no field 99"),
        (HEAD + "also: hl7v2/nothing\nfields: {start: SCH-11.4}\n", "table.no_such_table at hl7v2/x.yaml:5:7"),
        (HEAD + "also: hl7v2/x\nfields: {start: SCH-11.4}\n", "table.cycle at hl7v2/x.yaml:5:7"),
        (
            "mapping: hl7v2/x\nformat: hl7v2/SIU_S12\nentity: Appointment\nevents: {S12: {evnt: a}}\nfields: {}\n",
            "an event has no key evnt (did you mean event?)",
        ),
        (
            "mapping: hl7v2/x\nformat: hl7v2/SIU_S12\nentity: Appointment\n"
            "events: {S12: {event: a, set: {statu: x}}}\nfields: {}\n",
            "did you mean status?",
        ),
        (
            "mapping: hl7v2/x\nformat: hl7v2/SIU_S12\nentity: Appointment\n"
            "events: {S12: {event: a, set: {status: x}}}\nfields: {}\n",
            "not a code of AppointmentStatus",
        ),
        (
            "mapping: hl7v2/x\nformat: hl7v2/SIU_S12\nentity: Appointment\nsegments: {ZAP: {two: IS x}}\n"
            "fields: {}\n",
            "two is not a field number",
        ),
        (
            "mapping: hl7v2/x\nformat: hl7v2/SIU_S12\nentity: Appointment\nsegments: {ZAP: {2: XX x}}\nfields: {}\n",
            "ZAP-2 has the data type XX, which HL7 does not have",
        ),
    ],
)
def test_a_wrong_header_is_found(text: str, expected: str) -> None:
    assert expected in " ".join(map(str, problems(text)))


@pytest.mark.parametrize(
    ("codes_", "expected"),
    [
        (
            "  - {source: B, canonical: booked}\n  - {source: C, canonical: booked}\n",
            "canonical booked is already written on line 5",
        ),
        (
            "  - {source: B, canonical: booked}\n  - {source: B, canonical: noshow}\n",
            "source B is already read on line 5",
        ),
        ("  - {source: B, canonical: boked}\n", "boked is no AppointmentStatus (did you mean booked?)"),
        ("  - {source: B, canonical: booked, only: both}\n", "only is in or out"),
        ("  - {source: B, canonica: booked}\n", "did you mean canonical?"),
        ("  - {source: B}\n", "the key canonical is missing"),
    ],
)
def test_a_code_table_reads_both_ways_or_does_not_pass(codes_: str, expected: str) -> None:
    text = f"vocab: v\nsource: S\ncanonical: AppointmentStatus\ncodes:\n{codes_}"
    assert expected in " ".join(map(str, problems(text, "vocab__v")))


def test_a_code_table_translates_to_what_the_model_has() -> None:
    assert "vocab/w.yaml:3:12: AppointmentStatuss is no enumeration of the canonical model " \
           "(did you mean AppointmentStatus?)" in only_problem(
               "vocab: w\nsource: S\ncanonical: AppointmentStatuss\ncodes: []\n", "vocab__w")


def test_a_row_whose_code_table_is_faulty_points_there() -> None:
    found = changed(vocab__status="vocab: status\nsource: S\ncanonical: AppointmentStatus\n"
                                  "codes: [{source: B, canonical: boked}]\n").check()
    told = " ".join(map(str, found))
    assert "boked is no AppointmentStatus" in told
    assert "the code table status has errors of its own" in told
    assert "there is no code table status" not in told


def test_a_canonical_code_nobody_sends_is_a_warning_unless_it_is_meant() -> None:
    head = "vocab: v\nsource: S\ncanonical: SlotStatus\n"
    text = f"{head}codes: [{{source: F, canonical: free}}]\nunsent: [busy, busy-tentative]\n"
    found = problems(text, "vocab__v")
    assert [(each.code, each.severity) for each in found] == [("vocab.unsent", Severity.WARNING)] * 2
    assert "busy-unavailable" in str(found[0])


def test_a_code_table_may_extend_another() -> None:
    vocab = library().vocabs["north/visit_type"]
    assert {code: row.canonical for code, row in vocab.inward.items()} == {
        "VID": "video",
        "TELE": "video",
        "NORMAL": "routine",
    }
    assert vocab.outward["video"].source == "VID"
    assert "there is no code table nothing" in only_problem(
        "vocab: v\nsource: S\ncanonical: text\nextends: nothing\ncodes: []\n", "vocab__v"
    )


def test_a_data_type_has_one_table_and_cannot_use_itself() -> None:
    assert "there is a table for EI ↔ Identifier already" in " ".join(
        map(str, changed(hl7v2__types__EI2="type: hl7v2/EI\nentity: Identifier\nfields: {value: 1}\n").check())
    )
    assert "EI has no component 9 (EI has components 1 to 4)" in " ".join(
        map(str, changed(hl7v2__types__EI="type: hl7v2/EI\nentity: Identifier\nfields: {value: 9}\n").check())
    )
    assert "a data-type table has no each" in " ".join(
        map(
            str,
            changed(
                hl7v2__types__EI="type: hl7v2/EI\nentity: Identifier\nfields: {value: {each: 1, fields: {}}}\n"
            ).check(),
        )
    )


# -- overlays -----------------------------------------------------------------------------------------------

ZAP = "ZAP||V|R7"


def north(*more: str, **changes: str | None) -> Any:
    wire = edited("S12", **changes)
    for line in more:
        wire.add(line[:3])._text = line
        wire.segments[-1]._fields = None
    return wire


def test_an_overlay_changes_only_the_cells_it_names() -> None:
    reading = read(north(ZAP, SCH_10="", TQ1_7="20260310143000", TQ1_8="20260310150000", SCH_8="VID"), site="north")
    entity: Any = only(reading).entity
    assert entity.duration == 30, "no unit means minutes at North"
    assert entity.start == "2026-03-10T14:30:00-05:00"
    assert entity.time_basis == "America/Chicago"
    assert entity.modality == "video"
    assert entity.type.coding[-1].code == "video"
    assert entity.participants[0].role is not None
    assert not entity.participants[0].role, "North's roles are not read"
    assert entity.participants[1].status == "accepted", "the default of the site"


def test_a_field_of_a_z_segment_that_no_row_reads_is_reported() -> None:
    trace = library().mapping("hl7v2/visit", "north").trace(north(ZAP), CONTEXT)
    assert "ZAP-3" in " ".join(trace.undeclared)


def test_the_standard_table_is_untouched_by_its_overlays() -> None:
    library().mapping("hl7v2/visit", "north")
    entity: Any = only(read(message())).entity
    assert entity.participants[0].role.coding[0].code == "ATND"


def overlaid(text: str) -> str:
    return " ".join(str(found) for found in changed(sites__north__visit=text).check() if "sites/north" in found.row)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "extends: hl7v2/visit\nreplace: {statuss: {map: status}}\n",
            "table.no_such_row at sites/north/visit.yaml:2:11: hl7v2/visit has no row statuss (did you mean status?)",
        ),
        ("extends: hl7v2/visit\nremove: {statuss: no}\n", "table.no_such_row"),
        ("extends: hl7v2/visit\nadd: {status: SCH-25}\n", "table.row_exists at sites/north/visit.yaml:2:7"),
        ("extends: hl7v2/visit\nremove: {status: ''}\n", "table.no_reason at sites/north/visit.yaml:2:10"),
        ("extends: hl7v2/visit\nreplace: {status: {mapp: status}}\n", "did you mean map?"),
        (
            "extends: hl7v2/visit\nreplaced: {status: {map: status}}\n",
            "an overlay has no key replaced (did you mean replace?)",
        ),
        (
            "extends: hl7v2/vist\nzone: UTC\n",
            "north extends hl7v2/vist, which is not there (did you mean hl7v2/visit?)",
        ),
        ("extends: hl7v2/visit\nformat: hl7v2/SIU_S12\n", "an overlay has no key format"),
        (
            "extends: hl7v2/visit\nreplace: {'services().code': {path: AIS-99}}\n",
            "table.unknown_path at sites/north/visit.yaml:2:41",
        ),
        ("extends: hl7v2/visit\nreplace: {'services()': {fields: {}}}\n", "replaced one by one"),
    ],
)
def test_an_overlay_names_the_rows_it_edits(text: str, expected: str) -> None:
    """Rule 7: replace must hit, add must not, remove needs a reason."""
    assert expected in overlaid(text)


def test_an_overlay_reaches_rows_under_each_and_data_types() -> None:
    lib = changed(
        sites__north__visit="extends: hl7v2/visit\nadd: {'services().duration': {path: AIS-7, unit: AIS-8 | min}}\n",
        sites__north__types__EI="extends: hl7v2/types/EI\nreplace: {assigner: {path: 3, only: in}}\n"
        "remove: {system: North has none}\n",
    )
    assert [str(found) for found in lib.check()] == []
    wire = message(
        *(
            line.replace("|15", "|15||20") if line.startswith("AIS") else line
            for line in message().emit().decode().split("\r")[:-1]
        )
    )
    entity: Any = only(lib.mapping("hl7v2/visit", "north").read(wire, CONTEXT)).entity
    assert entity.services[0].duration == 20
    assert entity.identifiers[1].assigner == "1.2.3"
    standard: Any = only(lib.mapping("hl7v2/visit").read(wire, CONTEXT)).entity
    assert standard.identifiers[1].assigner == "CLINIC"


def test_explain_gives_the_flat_table_with_file_and_line_of_every_cell() -> None:
    flat = explain(library().table("hl7v2/visit", "north"))
    assert flat.files == ("hl7v2/visit.yaml", "sites/north/visit.yaml")
    rows = {row.field: row for row in flat.rows if not row.alternative}
    assert [(cell.key, cell.text, cell.file) for cell in rows["type"].cells] == [
        ("path", "SCH-8", "hl7v2/visit.yaml"),
        ("map", "north/visit_type", "sites/north/visit.yaml"),
        ("unmapped", "pass", "hl7v2/visit.yaml"),
    ]
    assert rows["participants(kind=practitioner).role"].removed == "North sends codes of its staff"
    assert rows["services().code"].depth == 1
    assert rows["modality"].cell("path") == "ZAP-2"
    assert ("zone", "America/Chicago") in [(cell.key, cell.text) for cell in flat.header]


# -- library ------------------------------------------------------------------------------------------------


def test_a_revision_is_the_content_of_every_file_that_matters() -> None:
    content = files()
    before = revision_of(content)
    assert library().revision == before
    for path in content:
        assert Library({**content, path: content[path] + b"# \n"}, FORMATS).revision != before, path
    assert (
        Library({**content, "hl7v2/visit.tests.yaml": b"tests: []\n", "README.md": b"x"}, FORMATS).revision == before
    )


def test_a_library_is_loaded_from_stored_content_as_from_a_folder() -> None:
    """Invariant 3: old revisions are recomputed."""
    stored = {path: bytes(content) for path, content in library().files.items()}
    again = Library(stored, FORMATS)
    assert again.revision == Library.load(TABLES, FORMATS).revision
    assert again.mapping("hl7v2/visit").read(message(), CONTEXT) == read(message())


def test_a_folder_that_is_not_there_is_an_os_error() -> None:
    with pytest.raises(NotADirectoryError):
        read_folder(TABLES / "nothing")


def test_unknown_tables_and_sites_get_a_suggestion() -> None:
    with pytest.raises(Rejection, match=r"did you mean hl7v2/visit\?"):
        library().mapping("hl7v2/vist")
    with pytest.raises(Rejection, match=r"did you mean north\?"):
        library().mapping("hl7v2/visit", "nort")


def test_a_table_with_errors_says_so_each_time_it_is_asked_for() -> None:
    broken = changed(hl7v2__x=f"{HEAD}fields: {{strat: SCH-11.4}}\n")
    for _ in range(2):
        with pytest.raises(Rejection, match="did you mean start"):
            broken.mapping("hl7v2/x")
    assert isinstance(broken.mapping("hl7v2/visit"), Mapping)


def test_only_tables_belong_to_a_revision() -> None:
    assert [
        path for path in ("a.yaml", "x/a.tests.yaml", "x/samples/a.yaml", "a.md", "a.hl7") if libraries.relevant(path)
    ] == ["a.yaml"]


def test_a_site_without_overlay_of_a_table_uses_the_standard_one() -> None:
    lib = library()
    assert lib.mapping("fhir/patient", "north").site == "north"
    assert lib.overlaid("hl7v2/visit") == ("north",)
    assert lib.mapping("json/demand").write(only(read(message())), WRITE).wire["booking"] == "F1"
