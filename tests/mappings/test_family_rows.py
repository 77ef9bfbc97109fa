"""Every row of the tables of the other families gives something for a message that says everything; and where a table writes
as well, what it read comes back as it was."""

from __future__ import annotations

import pytest

from connectors.hl7v2 import er7
from mapper.mapping import ReadContext, WriteContext, covered
from tests.mappings import tables

CONTEXT = ReadContext(message_id="m", channel="c", received_at=1)


def seg(name: str, fields: dict[int, str]) -> str:
    """A segment with these fields."""
    return "|".join([name, *(fields.get(number, "") for number in range(1, max(fields) + 1))])


DAY, TIME = "20260401", "20260401090000-0500"
TEL, ADDRESS, PERSON = "+1 330 5550142^PRN^PH", "1 Main^^Eastport^OH^44001^USA", "77^Ruiz^Eva"
PID = seg("PID", {1: "1", 2: "OLD-1", 3: "123^^^MERCY^MR", 4: "ALT-1", 5: "Nowak^Anna", 7: "19800229", 8: "F", 11: ADDRESS,
                  13: TEL, 14: "+1 330 5550143^WPN^PH", 15: "es", 16: "M", 18: "ACC-1^^^MERCY^AN", 19: "123456789",
                  29: DAY, 30: "N"})
#: Without the numbers of PID-2, PID-4 and PID-19, which are written into PID-3.
PLAIN_PID = PID.replace("OLD-1", "").replace("ALT-1", "").replace("123456789", "")
PV1 = seg("PV1", {1: "1", 2: "O", 3: "CARD^12", 7: PERSON, 8: "78^Ord^Ina", 10: "CAR", 19: "VN-1", 44: TIME, 45: TIME})
DG1 = seg("DG1", {1: "1", 3: "I10^Hypertension^I10", 5: DAY, 6: "A"})
IN1 = seg("IN1", {1: "1", 2: "PPO^Preferred", 3: "W1^^^WSIC", 4: "WSIC", 5: ADDRESS, 7: TEL, 8: "GRP", 9: "Works", 12: DAY,
                  13: DAY, 14: "AUTH-1", 16: "Nowak^Jan", 17: "SPO", 18: "19790101", 19: ADDRESS, 22: "1", 36: "POL-1",
                  43: "M", 47: "B", 49: "M-1^^^WSIC^MB"})
MORE_IN1 = ["IN2|" + "|" * 71 + "01", "IN3|1|CERT-1"]
NTE = "NTE|1||A note"
RESOURCES = [
    "RGS|1", seg("AIS", {1: "1", 2: "A", 3: "ECHO^Echo^L", 4: TIME, 5: "0", 6: "min", 7: "30", 8: "min", 10: "Booked"}), NTE,
    seg("AIG", {1: "1", 2: "A", 3: "US-3^Ultrasound^L", 4: "ULTRA", 5: "G", 6: "1", 8: TIME, 9: "0", 10: "min", 11: "30",
                12: "min", 14: "Booked"}), NTE,
    seg("AIL", {1: "1", 2: "A", 3: "CARD^12", 4: "ROOM", 5: "G", 6: TIME, 7: "0", 8: "min", 9: "30", 10: "min",
                12: "Booked"}), NTE,
    seg("AIP", {1: "1", 2: "A", 3: "DR1^Okafor^Ada", 4: "ATT", 5: "G", 6: TIME, 7: "0", 8: "min", 9: "30", 10: "min",
                12: "Booked"}), NTE]
ARQ = seg("ARQ", {1: "P-1^PORTAL", 2: "F-1^HUB", 3: "2", 4: "G-1^PORTAL", 5: "CARD-A", 6: "CHANGE", 7: "CHECKUP", 8: "FU",
                  9: "30", 10: "min", 11: f"{DAY}^20260405", 12: "R", 13: "Q1D", 14: "D5", 15: PERSON, 16: TEL, 17: ADDRESS,
                  18: "ELM^1", 19: "42^Desk^Clerk", 20: TEL, 21: "ELM^2", 22: "PP-1", 23: "FP-1", 24: "O-1^EHR",
                  25: "F-1^RAD"})
SCH = seg("SCH", {1: "P-1^PORTAL", 2: "F-1^HUB", 3: "2", 4: "G-1^PORTAL", 5: "CARD-A", 6: "CHANGE", 7: "CHECKUP", 8: "FU",
                  9: "30", 10: "min", 25: "Booked", 26: "O-1^EHR", 27: "F-1^RAD"})
RF1 = seg("RF1", {1: "A", 2: "R", 3: "CARD", 4: "SO", 5: "O", 6: "REF-1^PRACTICE", 7: DAY, 8: DAY, 9: DAY, 10: "CHEST",
                  11: "EXT-1^HUB"})


def prd(role: str) -> str:
    return seg("PRD", {1: role, 2: "Blake^Beverly", 3: ADDRESS, 4: "ELM^1^^^^^^^Elm Street", 5: TEL, 7: "1234567893^NPI",
                       8: DAY, 9: DAY, 10: "Elm Street Practice^^^^^NPPES^NPI^^^99"})


AUT = seg("AUT", {2: "W1", 3: "WSIC", 4: DAY, 5: DAY, 6: "AUTH-7", 8: "2^VS", 9: "1", 14: "A", 17: "reason"})
PR1 = seg("PR1", {1: "1", 3: "93306^Echo^C4", 5: TIME, 7: "30"})
OBR = seg("OBR", {1: "1", 2: "O-1^EHR", 3: "F-1^RAD", 4: "73610^X-ray^C4", 7: DAY, 22: TIME, 25: "F", 31: "FALL"})
ED = seg("OBX", {1: "1", 2: "ED", 3: "DS", 5: "DOCS^application^pdf^Base64^JVBERi0="})
TEXT, POINTER = seg("OBX", {1: "2", 2: "FT", 3: "DS", 5: "text"}), seg("OBX", {1: "3", 2: "RP", 3: "DS", 5: "file.pdf"})
MDM = seg("TXA", {1: "1", 2: "DS", 4: DAY, 6: TIME, 8: TIME, 9: PERSON, 10: PERSON, 12: "D-7^DOCS", 13: "D-6^DOCS",
                  14: "O-1^EHR", 15: "F-1^RAD", 16: "a.pdf", 17: "AU", 18: "R", 19: "AV", 21: "wrong side", 25: "Summary"})
FT1 = seg("FT1", {1: "1", 2: "T-1", 3: "B-9", 4: f"{DAY}^{DAY}", 5: DAY, 6: "CG", 7: "99213", 8: "Visit", 10: "2",
                  11: "150.00&USD", 12: "75.00&USD", 13: "CARD", 14: "PPO", 16: "CARD^12", 20: PERSON, 21: PERSON,
                  23: "F-1^LAB", 24: PERSON, 25: "99213", 26: "25"})
ORC = seg("ORC", {1: "NW", 2: "O-1^EHR", 3: "F-1^RAD", 5: "SC", 7: f"^^^{DAY}^{DAY}^R", 9: TIME, 10: PERSON, 12: PERSON,
                  13: "ELM^1", 14: TEL, 16: "CHANGE"})
QPD = "QPD|Q21|T|123^^^MERCY^MR|^^^MERCY"
EVN, MSA = f"EVN||{TIME}", "MSA|AA|Q-1|words"

FULL = {
    "srm": ("SRM^S01", [ARQ, "APR|A^1|B^2|C^3|15|D^4", NTE, PID, PV1, DG1, *RESOURCES]),
    "srr": ("SRR^S01", [MSA, "ERR||||||||why", SCH, NTE, PID, *RESOURCES]),
    "srr_appointment": ("SRR^S01", [MSA, SCH, seg("TQ1", {1: "1", 7: TIME, 8: "20260401093000-0500"}), NTE, PID, PV1,
                                    *RESOURCES]),
    "ref": ("REF^I12", [RF1, AUT, prd("RP"), prd("RT"), prd("PP"), PID, IN1, DG1, PR1, OBR, ED, PV1, NTE]),
    "rri": ("RRI^I12", [MSA, RF1, AUT, prd("RP"), prd("RT"), prd("PP"), PID, DG1, PR1, OBR, ED, PV1, NTE]),
    "rqa": ("RQA^I08", [RF1, AUT, prd("RP"), prd("RT"), PID, IN1, DG1, PR1, AUT, PV1, NTE]),
    "rpa": ("RPA^I08", [MSA, RF1, AUT, prd("RP"), prd("RT"), PID, IN1, DG1, PR1, AUT, PV1, NTE]),
    "orm": ("ORM^O01", [PID, PV1, IN1, ORC, OBR, NTE, DG1]),
    "omg": ("OMG^O19", [PID, PV1, IN1, ORC, OBR, NTE, DG1]),
    "oml": ("OML^O21", [PID, PV1, IN1, ORC, OBR, NTE, DG1]),
    "siu_order": ("SIU^S12", [SCH, seg("TQ1", {1: "1", 7: TIME}), PID]),
    "mdm": ("MDM^T02", [EVN, PID, PV1, OBR, MDM, ED, TEXT, POINTER]),
    "oru_document": ("ORU^R01", [PID, PV1, OBR, ED, TEXT, POINTER]),
    "bar": ("BAR^P01", [EVN, PID, PV1, IN1]),
    "bar_coverage": ("BAR^P01", [EVN, PID, PV1, IN1, *MORE_IN1]),
    "dft": ("DFT^P03", [EVN, PID, PV1, FT1, NTE, DG1]),
    "dft_coverage": ("DFT^P03", [EVN, PID, PV1, FT1, IN1, *MORE_IN1]),
    "ack": ("ACK^S12", ["MSA|AE|Q-1|words", "ERR||PID^1^3|204|||||why"]),
    "qbp_q21": ("QBP^Q21", [QPD, "RCP|I|10^RD", "DSC|abc"]),
    "qbp_q22": ("QBP^Q22", ["QPD|Q22|T|@PID.5.1^x|||||^^^MERCY", "RCP|I|10^RD", "DSC|abc"]),
    "sqm": ("SQM^S25", [f"QRD|{TIME}|R|I|S-1|||10^RD|123|SAL", f"QRF||{DAY}|{DAY}", ARQ, PID,
                        *(line for line in RESOURCES if line != NTE), "DSC|abc"]),
}
#: Rows that stand for what is not there in a full message: a second number where the first is missing.
OTHERWISE = {"mdm": ["identifiers(type=PLAC)"], "oru_document": ["identifiers(type=PLAC)"]}
BOTH_WAYS = ("srm", "srr", "ref", "rri", "rqa", "rpa")


def message(name: str, *, without: str = "") -> er7.Message:
    kind, lines = FULL[name]
    lines = [PLAIN_PID if line == without else line for line in lines]
    header = f"MSH|^~\\&|EHR|EAST|DRAGOMAN|HUB|20260310120000-0500||{kind}|CASE|P|2.5.1"
    return er7.parse("\r".join((header, *lines, "")).encode())


@pytest.mark.parametrize("name", FULL)
def test_every_row_gives_something_for_a_message_that_says_everything(name: str) -> None:
    mapping = tables.library().mapping(f"hl7v2/{name}")
    trace = mapping.trace(message(name), CONTEXT)
    assert trace.reading.events, [str(each) for each in trace.reading.findings]
    own = {str(mark): row for row, mark in mapping.rows if str(mark).startswith(f"hl7v2/{name}.yaml:")}
    silent = sorted(own[mark] for mark in set(trace.silent) & own.keys())
    assert silent == OTHERWISE.get(name, [])


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_what_was_read_comes_back_as_it_was(name: str) -> None:
    """write(read(m)) says the same event again, and nothing is lost that a row both reads and writes."""
    mapping, wire = tables.library().mapping(f"hl7v2/{name}"), message(name, without=PID)
    event = mapping.read(wire, CONTEXT).events[0]
    writing = mapping.write(event, WriteContext(identity="CASE", now=event.occurred_at, values=mapping.settings_of(wire)))
    assert not writing.fatal, [str(each) for each in writing.findings]
    again = mapping.read(writing.wire, CONTEXT).events[0]
    before, after = tables.as_json(event.entity), tables.as_json(again.entity)
    only_in = {"patient", "services", "payer", "denial_reasons", "rejection", "documents"}
    assert {key: value for key, value in before.items() if key not in only_in} == {
        key: value for key, value in after.items() if key not in only_in}
    assert [place for place in mapping.format.leaves(writing.wire, mapping.structure)
            if place not in mapping.format.leaves(wire, mapping.structure) and not covered(place, mapping.lossy)] == []
