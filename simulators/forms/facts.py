"""What a referral says: invented people, payers, codes."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Final

import msgspec

FAMILIES: Final = (
    "Quillfeather", "Holloway", "Brandt", "Okafor", "Lindqvist", "Marchetti", "Delgado", "Nakamura", "Petersen", "Whitlock",
    "Aldridge", "Castellano", "Dunmore", "Eriksen", "Fairbanks", "Goldstein", "Hargrove", "Ishikawa", "Jankowski", "Kessler",
    "Larkin", "McAllister", "Novak", "O'Rourke", "Pemberton", "Quintero", "Rutherford", "Sandoval", "Thornbury", "Underhill",
    "Vasquez", "Wexford", "Yamada", "Zielinski", "Ashworth", "Bellamy", "Crowley", "Draper", "Ellison", "Fontaine")
GIVEN: Final = (
    ("Aurelia", "female"), ("Miriam", "female"), ("Teresa", "female"), ("Ingrid", "female"), ("Naomi", "female"),
    ("Beatrice", "female"), ("Camille", "female"), ("Dorothy", "female"), ("Eleanor", "female"), ("Felicia", "female"),
    ("Gwendolyn", "female"), ("Harriet", "female"), ("Isabel", "female"), ("Josephine", "female"), ("Katherine", "female"),
    ("Leopold", "male"), ("Marcus", "male"), ("Nathaniel", "male"), ("Oliver", "male"), ("Patrick", "male"),
    ("Raymond", "male"), ("Samuel", "male"), ("Theodore", "male"), ("Vincent", "male"), ("Walter", "male"),
    ("Anthony", "male"), ("Benjamin", "male"), ("Clarence", "male"), ("Douglas", "male"), ("Edmund", "male"))
PROVIDERS: Final = 40
"""How many referring providers there are; the same whatever the seed, so that a directory can know them."""
SPECIALTIES: Final = ("Cardiology", "Orthopedics", "Neurology", "Gastroenterology", "Endocrinology", "Dermatology",
                      "Pulmonology", "Rheumatology", "Urology", "Nephrology")
PAYERS: Final = ("Harbor Mutual", "Prairie Health Plan", "Northern Shield", "Medicare")
#: Code of ICD-10-CM and our own words for it.
DIAGNOSES: Final = (
    ("I10", "High blood pressure"), ("I25.10", "Coronary artery disease"), ("I48.91", "Atrial fibrillation"),
    ("I50.9", "Heart failure"), ("R07.9", "Chest pain"), ("R00.2", "Palpitations"), ("R06.02", "Shortness of breath"),
    ("M54.50", "Low back pain"), ("M25.561", "Pain in right knee"), ("M25.562", "Pain in left knee"),
    ("M17.11", "Arthrosis of right knee"), ("M75.41", "Impingement of right shoulder"), ("G43.909", "Migraine"),
    ("G40.909", "Epilepsy"), ("R51.9", "Headache"), ("R42", "Dizziness"), ("G62.9", "Polyneuropathy"),
    ("K21.9", "Reflux disease"), ("K50.90", "Crohn disease"), ("K92.1", "Black stool"), ("R10.9", "Abdominal pain"),
    ("E11.9", "Type 2 diabetes"), ("E11.65", "Type 2 diabetes with high glucose"), ("E03.9", "Low thyroid function"),
    ("E05.90", "High thyroid function"), ("L40.0", "Plaque psoriasis"), ("L20.9", "Atopic dermatitis"),
    ("J44.9", "Chronic obstructive lung disease"), ("J45.909", "Asthma"), ("R05.3", "Chronic cough"),
    ("M06.9", "Rheumatoid arthritis"), ("M10.9", "Gout"), ("N40.1", "Enlarged prostate"), ("N20.0", "Kidney stone"),
    ("N18.30", "Chronic kidney disease stage 3"), ("R31.9", "Blood in urine"))
#: Code of a procedure and our own words for it.
PROCEDURES: Final = (
    ("99203", "New patient visit"), ("99204", "New patient visit long"), ("99214", "Return visit"), ("93000", "ECG"),
    ("93306", "Echo of the heart"), ("93015", "Stress test"), ("73721", "MRI of a joint of the leg"),
    ("72148", "MRI of the lower spine"), ("70553", "MRI of the head"), ("95816", "EEG"), ("45378", "Colonoscopy"),
    ("43239", "Endoscopy with biopsy"), ("76536", "Ultrasound of the neck"), ("94010", "Spirometry"),
    ("20610", "Injection of a large joint"), ("52000", "Cystoscopy"), ("G0463", "Clinic visit of a hospital"),
    ("J1030", "Steroid injection"))
REASONS: Final = (
    "Symptoms for six months, please evaluate", "Not better with medication", "New finding on examination",
    "Second opinion requested", "Please advise on further treatment", "Worse since last visit",
    "Evaluate and treat as needed", "Family history, screening requested")
PRIORITIES: Final = ("routine", "urgent", "stat")


class Provider(msgspec.Struct, frozen=True):
    """Who refers."""

    family: str
    given: str
    npi: str
    practice: str
    phone: str
    fax: str


class Facts(msgspec.Struct, frozen=True):
    """What one referral says. Dates are ISO 8601."""

    number: str
    issued: str
    priority: str
    family: str
    given: str
    birth_date: str
    sex: str
    phone: str
    mrn: str
    payer: str
    member_id: str
    provider: Provider
    specialty: str
    diagnoses: tuple[tuple[str, str], ...]
    services: tuple[tuple[str, str], ...]
    reason: str


def npi(base: str) -> str:
    """Nine digits with their check digit (ISO/IEC 7812 over 80840 and the number)."""
    total = 24
    for index, digit in enumerate(reversed(base)):
        value = int(digit) * (2 if index % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return base + str(-total % 10)


def providers() -> tuple[Provider, ...]:
    """The directory of referring providers."""
    draw = random.Random("providers")
    practices = ("Lakeside Primary Care", "Northgate Family Medicine", "Harbor Internal Medicine", "Cedar Street Clinic")
    return tuple(Provider(draw.choice(FAMILIES), draw.choice(GIVEN)[0], npi(f"1{draw.randrange(10**8):08d}"),
                          draw.choice(practices), _phone(draw), _phone(draw)) for _ in range(PROVIDERS))


def facts(draw: random.Random) -> Facts:
    """One referral."""
    given, sex = draw.choice(GIVEN)
    payer = draw.choice(PAYERS)
    issued = date(2026, 1, 5) + timedelta(days=draw.randrange(300))
    born = date(1936, 1, 1) + timedelta(days=draw.randrange(365 * 70))
    initial = f" {draw.choice('ABCDEFGHJKLMNPRSTW')}" if draw.random() < 0.3 else ""
    return Facts(
        number=f"RF-{draw.randrange(10**6):06d}", issued=issued.isoformat(),
        priority=draw.choices(PRIORITIES, (70, 25, 5))[0], family=draw.choice(FAMILIES), given=given + initial,
        birth_date=born.isoformat(), sex=sex, phone=_phone(draw), mrn=f"{draw.randrange(10**7, 10**8)}", payer=payer,
        member_id=_member_id(draw, payer), provider=draw.choice(providers()), specialty=draw.choice(SPECIALTIES),
        diagnoses=tuple(draw.sample(DIAGNOSES, draw.choice((1, 1, 2, 2, 3)))),
        services=tuple(draw.sample(PROCEDURES, draw.choice((1, 1, 2)))), reason=draw.choice(REASONS))


def _phone(draw: random.Random) -> str:
    return f"({draw.choice(('312', '414', '608', '847', '920'))}) 555-01{draw.randrange(100):02d}"


def _member_id(draw: random.Random, payer: str) -> str:
    letters, digits = "ACDEFGHJKMNPQRTUVWXY", "0123456789"

    def some(alphabet: str, count: int) -> str:
        return "".join(draw.choice(alphabet) for _ in range(count))

    if payer == "Harbor Mutual":
        return f"HMX{some(digits, 9)}"
    if payer == "Prairie Health Plan":
        return f"{some(digits, 11)}"
    if payer == "Northern Shield":
        return f"W{some(digits, 8)}-0{draw.randrange(1, 5)}"
    # The shape of a Medicare beneficiary identifier (CMS): C A AN N A AN N A A N N.
    return (f"{draw.randrange(1, 10)}{some(letters, 1)}{some(letters + digits, 1)}{some(digits, 1)}-"
            f"{some(letters, 1)}{some(letters + digits, 1)}{some(digits, 1)}-{some(letters, 2)}{some(digits, 2)}")
