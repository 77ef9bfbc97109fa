"""The work of every benchmark here: one realistic 1.3 KB SIU^S12, and any number of distinct copies of it.

Invented by us; nobody in it exists. Copies differ in control id, patient and filler appointment id. The filler
id is the *token*: fixed width, found in whatever a mapping makes of the message, so that a sink can count
identities and check order without understanding the format.
"""

from __future__ import annotations

from typing import Final

TOKEN: Final = b"BNCH"
TOKEN_LENGTH: Final = len(TOKEN) + 6 + 6

_TEMPLATE: Final = (
    "MSH|^~\\&|EPICSCHED|NORTHGATE|DRAGOMAN|HUB|20260309083015-0500||SIU^S12^SIU_S12|{control}|P|2.5.1|||||USA|"
    "UNICODE UTF-8\r"
    "SCH|{placer}^EPICSCHED|{token}^EPICSCHED|||OFFICE^Office visit^L|ROUTINE^Routine appointment^HL70276|"
    "FOLLOWUP^Follow-up visit^L|NORMAL^Normal^HL70277|30|MIN^minutes^UCUM|"
    "^^30^{start}-0500^{end}-0500|1184^HOLLOWAY^MIRIAM^T^^DR^MD|^WPN^PH^^1^312^5550142|||"
    "1184^HOLLOWAY^MIRIAM^T^^DR^MD||||77310^OKAFOR^DANIEL|||||Booked^Booked^HL70278\r"
    "TQ1|1||||||{start}-0500|{end}-0500|R^Routine^HL70485\r"
    "NTE|1|P|Please bring the referral letter \\T\\ a list of medication.\r"
    "PID|1||{mrn}^^^NORTHGATE&2.16.840.1.113883.19.4.7&ISO^MR~SYN-{number}^^^STATE^SS||"
    "{family}^AURELIA^J^^^^L||{birth}|F|||{street} LINDEN CT^APT 3B^EVANSTON^IL^60202^USA^H||"
    "^PRN^PH^^1^847^5{phone}||en^English^ISO639|M^Married^HL70002||ACC{number}^^^NORTHGATE^AN\r"
    "PV1|1|O|CARD^204^1^NORTHGATE||||1184^HOLLOWAY^MIRIAM^T^^DR^MD|5521^ABARA^GRACE^^^DR^MD||CAR||||||||OP|"
    "V{number}^^^NORTHGATE^VN\r"
    "DG1|1||I25.10^Atherosclerotic heart disease^I10||20260301|W\r"
    "RGS|1|A|CARDIOLOGY\r"
    "AIS|1|A|99213^Office visit established^CPT4|{start}-0500|0|MIN|30|MIN||Booked^Booked^HL70278\r"
    "AIG|1|A|ECHO2^Echo machine 2^L|EQUIP^Equipment^L\r"
    "AIL|1|A|CARD^204^1^NORTHGATE|EXAM^Exam room^L\r"
    "AIP|1|A|1184^HOLLOWAY^MIRIAM^T^^DR^MD|ATTEND^Attending^L||{start}-0500|0|MIN|30|MIN||"
    "Booked^Booked^HL70278\r"
)

_HOLES: Final = ("control", "placer", "token", "mrn", "number", "start", "end", "family", "birth", "street",
                 "phone")


def _parts() -> tuple[list[bytes], list[str]]:
    """The template cut at its holes: fixed bytes, and the names of the holes between them, in order."""
    fixed: list[bytes] = []
    holes: list[str] = []
    rest = _TEMPLATE
    while True:
        places = [(rest.find("{" + hole + "}"), hole) for hole in _HOLES if "{" + hole + "}" in rest]
        if not places:
            return [*fixed, rest.encode()], holes
        at, hole = min(places)
        fixed.append(rest[:at].encode())
        holes.append(hole)
        rest = rest[at + len(hole) + 2:]


_FIXED, _ORDER = _parts()


def token(patient: int, visit: int) -> bytes:
    """Identity of an appointment: sorts by patient, then by visit."""
    return b"%s%06d%06d" % (TOKEN, patient, visit)


def siu(control: bytes = b"20260309083015001", patient: int = 1, visit: int = 1) -> bytes:
    """One message. Distinct control ids, patients and visits make distinct messages.

    What differs between patients and visits of a real feed differs here, and what recurs (clinicians, places,
    codes) recurs: memory of values seen before helps as much as it would there, no more.
    """
    number = b"%06d" % patient
    hour = b"202603%02d%02d" % (1 + patient % 28, 8 + visit % 10)
    values = {
        "control": control, "placer": b"P%b%06d" % (number, visit), "token": token(patient, visit),
        "mrn": b"MRN%b" % number, "number": number, "start": hour + b"0000", "end": hour + b"3000",
        "family": b"QUILL%b" % number, "birth": b"%d%02d%02d" % (1930 + patient % 80, 1 + patient % 12,
                                                                1 + patient % 28),
        "street": b"%d" % (patient % 9000), "phone": number,
    }
    pieces = [_FIXED[0]]
    for hole, fixed in zip(_ORDER, _FIXED[1:], strict=True):
        pieces.append(values[hole])
        pieces.append(fixed)
    return b"".join(pieces)


#: The ten facts that every parser reads: (segment, field, component), from 1; component 0 is the whole field.
TEN: Final = (
    ("MSH", 9, 2), ("MSH", 10, 0), ("SCH", 2, 1), ("SCH", 11, 4), ("SCH", 25, 1),
    ("PID", 3, 1), ("PID", 5, 1), ("PID", 7, 0), ("AIL", 3, 1), ("AIP", 3, 2),
)
EXPECTED: Final = ("S12", "20260309083015001", "BNCH000001000001", "20260302090000-0500", "Booked",
                   "MRN000001", "QUILL000001", "19310202", "CARD", "HOLLOWAY")
