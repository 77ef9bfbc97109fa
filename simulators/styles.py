"""How two different EHRs write the same facts as HL7 v2.

* `Lakeside`: an old v2.3 system. SCH-11, no TQ1, no MSH-18, local times without offset, 0278 words, Latin-1.
* `Mercy`: a v2.5.1 system. TQ1, UTF-8 with MSH-18, offsets, its own status codes, a Z segment (ZAP: visit
  mode and room).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import ClassVar, Final, Protocol
from zoneinfo import ZoneInfo

from simulators.history import Fact, Person, Visit

#: Structure (MSH-9.3) of the triggers, HL7 v2.5.1 chapters 3 and 10.
_STRUCTURE: Final = {"A03": "ADT_A03", "A04": "ADT_A01", "A08": "ADT_A01", "A01": "ADT_A01", "A05": "ADT_A05",
                     "A28": "ADT_A05", "A31": "ADT_A05", "A40": "ADT_A39"}
_DOCTORS: Final = (("1730200044", "Nair", "Leela"), ("1487600002", "Okafor", "Ada"),
                   ("1558300019", "Brandt", "Jo"), ("1990011223", "Lund", "Per"),
                   ("1629000112", "Sorensen", "Astrid"))


class Style(Protocol):
    """One EHR's way of writing."""

    system: ClassVar[str]
    """MSH-3"""

    def write(self, fact: Fact, control_id: str) -> bytes:
        """The message that tells a fact."""

    def spoil(self, message: bytes) -> bytes:
        """The message that starts in the thirteenth month: what no mapping can read."""


class Lakeside:
    """``LAKESCHED``, Duluth MN, America/Chicago."""

    system: ClassVar[str] = "LAKESCHED"
    _STATUS: Final = {"booked": "Booked", "arrived": "Started", "fulfilled": "Complete",
                      "cancelled": "Cancelled", "noshow": "Noshow", "deleted": "Deleted",
                      "discontinued": "Discontinued"}
    _KINDS: Final = (("NPV", "NEW PATIENT VISIT"), ("FUV", "FOLLOW UP VISIT"))

    def write(self, fact: Fact, control_id: str) -> bytes:
        """The message that tells a fact."""
        kind = "ADT" if fact.trigger.startswith("A") else "SIU"
        lines = [f"MSH|^~\\&|LAKESCHED|LAKESIDE|DRAGOMAN|HUB|{_local(fact.at)}||{kind}^{fact.trigger}"
                 f"|{control_id}|P|2.3"]
        if kind == "ADT":
            lines.append(f"EVN|{fact.trigger}|{_local(fact.at)}")
        visit = fact.visit
        if kind == "SIU" and visit is not None:
            lines.append(self._sch(fact, visit))
            if fact.trigger not in {"S23", "S24"}:
                lines.append("NTE|1||PLEASE ARRIVE 15 MINUTES EARLY")
        if fact.trigger not in {"S23", "S24"}:
            lines.append(self._pid(fact.person))
        if fact.merged:
            lines.append(f"MRG|{self._mrn(fact.merged)}")
        elif fact.trigger not in {"S23", "S24"}:
            lines.append(self._pv1(fact))
        if kind == "SIU" and visit is not None:
            lines += self._resources(visit, blocked=fact.trigger in {"S23", "S24"})
        return ("\r".join(lines) + "\r").encode("latin-1", "replace")

    def spoil(self, message: bytes) -> bytes:
        """The message that starts in the thirteenth month."""
        return re.sub(rb"(\^\^\d+\^\d{4})\d\d", rb"\g<1>13", message, count=1)

    def _sch(self, fact: Fact, visit: Visit) -> str:
        code, _ = self._KINDS[visit.kind % len(self._KINDS)]
        number, end = f"LK-{visit.number}", visit.start + timedelta(minutes=visit.minutes)
        if fact.trigger in {"S23", "S24"}:
            what, status = f"CLINIC{visit.clinician % 5}^^LAKE|HOL^HOLIDAY||", "Blocked"
        else:
            what = f"|{'WX^WEATHER' if fact.reason else ''}|ROUTINE^Routine^HL70276|{code}^^LAKE"
            status = self._STATUS[visit.status]
        return (f"SCH|{number}|{number}|||{what}|{visit.minutes}||"
                f"^^{visit.minutes}^{_local(visit.start)}^{_local(end)}"
                f"|||||15^HARJU^MAIJA||||15^HARJU^MAIJA|||||{status}")

    @staticmethod
    def _mrn(number: int) -> str:
        return f"L-{number}^^^LAKESIDE^MR"

    def _pid(self, who: Person) -> str:
        return (f"PID|1||{self._mrn(who.number)}||{who.family.upper()}^{who.given.upper()}^{who.middle}"
                f"||{who.born}|{who.sex}|||{who.street.upper()}^^DULUTH^MN^55802||(218)555-{who.phone}")

    @staticmethod
    def _pv1(fact: Fact) -> str:
        visit = fact.visit
        if visit is None:
            return f"PV1|1|{'I' if fact.trigger == 'A01' else 'O'}"
        fields = ["PV1", "1", "O", f"CLINIC{visit.clinician % 5}", *[""] * 15,
                  f"LV-{visit.number}^^^LAKESIDE^VN"]
        if fact.trigger in {"A03", "A04"}:
            fields += _stay(fields, fact, visit, _local)
            fields += [""] * (50 - len(fields)) + [f"LK-{visit.number}"]
        return "|".join(fields)

    def _resources(self, visit: Visit, *, blocked: bool) -> list[str]:
        code, text = self._KINDS[visit.kind % len(self._KINDS)]
        _, family, given = _DOCTORS[visit.clinician % len(_DOCTORS)]
        service = [] if blocked else [f"AIS|1||{code}^{text}^LAKE"]
        return ["RGS|1", *service, f"AIL|1||CLINIC{visit.clinician % 5}^ROOM{visit.room}",
                f"AIP|1||DR{visit.clinician % len(_DOCTORS)}^{family.upper()}^{given.upper()}"]


class Mercy:
    """``MERCYSCHED``, Eastport ME, America/New_York."""

    system: ClassVar[str] = "MERCYSCHED"
    _ZONE: Final = ZoneInfo("America/New_York")
    _STATUS: Final = {"booked": "CONF", "arrived": "CHKIN", "fulfilled": "COMP", "cancelled": "CXL",
                      "noshow": "NS", "deleted": "ERR", "discontinued": "CXL"}
    _KINDS: Final = (("CARDFU", "Cardiology follow-up", "99214^Office visit, established^CPT4"),
                     ("CARDNEW", "Cardiology new patient", "99204^Office visit, new^CPT4"),
                     ("ANNUAL", "Yearly check-up", "99396^Preventive visit^CPT4"))

    def write(self, fact: Fact, control_id: str) -> bytes:
        """The message that tells a fact."""
        kind, trigger, visit = "ADT" if fact.trigger.startswith("A") else "SIU", fact.trigger, fact.visit
        structure = _STRUCTURE.get(trigger, "SIU_S12")
        lines = [f"MSH|^~\\&|MERCYSCHED|MERCY|DRAGOMAN|HUB|{self._time(fact.at)}||{kind}^{trigger}^{structure}"
                 f"|{control_id}|P|2.5.1||||||UNICODE UTF-8"]
        if kind == "ADT":
            lines.append(f"EVN|{trigger}|{self._time(fact.at)}")
            lines.append(self._pid(fact.person))
            lines.append(f"MRG|{self._mrn(fact.merged)}" if fact.merged else self._pv1(fact))
        elif visit is not None:
            blocked = trigger in {"S23", "S24"}
            lines += [self._sch(fact, visit), self._tq1(visit)]
            if not blocked:
                lines += ["NTE|1||Bring the list of medicines and the insurance card", self._pid(fact.person),
                          self._pv1(fact), "DG1|1||I25.10^Coronary artery disease^I10|||W",
                          f"ZAP|1|{visit.mode}|{'VR' if visit.mode == 'V' else 'HV'}-{visit.room}"]
            lines += self._resources(visit, blocked=blocked)
        return ("\r".join(lines) + "\r").encode()

    def spoil(self, message: bytes) -> bytes:
        """The message that starts in the thirteenth month."""
        return re.sub(rb"(TQ1\|1\|{6}\d{4})\d\d", rb"\g<1>13", message, count=1)

    def _time(self, at: datetime) -> str:
        return at.replace(tzinfo=self._ZONE).strftime("%Y%m%d%H%M%S%z")

    def _sch(self, fact: Fact, visit: Visit) -> str:
        code, text, _ = self._KINDS[visit.kind % len(self._KINDS)]
        if fact.trigger in {"S23", "S24"}:
            what, status = "HEART-A^Cardiology template A^MERCY|STAFF^Staff meeting^MERCY||", ""
        else:
            reason = "PT^Patient cancelled^MERCY" if fact.reason else ""
            what = f"|{reason}|FOLLOWUP^Follow-up^HL70276|{code}^{text}^MERCY"
            status = self._STATUS[visit.status]
        return (f"SCH|W-{visit.number}^MERCYWEB|MA-{visit.number}^MERCY^2.999.20.2^ISO|||{what}"
                f"|{visit.minutes}|min||77^Reyes^Ines|^WPN^PH^^1^207^5550100|||88^Moreau^Paul"
                f"||||77^Reyes^Ines|||||{status}")

    def _tq1(self, visit: Visit) -> str:
        end = visit.start + timedelta(minutes=visit.minutes)
        return f"TQ1|1||||||{self._time(visit.start)}|{self._time(end)}|R"

    @staticmethod
    def _mrn(number: int) -> str:
        return f"MH{number}^^^MERCY&2.999.20.1&ISO^MR"

    def _pid(self, who: Person) -> str:
        return (f"PID|1||{self._mrn(who.number)}||{who.family}^{who.given}^{who.middle}^^^^L||{who.born}"
                f"|{who.sex}|||{who.street}^^Eastport^ME^04631^USA^H||^PRN^PH^^1^207^555{who.phone}"
                f"~^NET^Internet^p{who.number}@mail.example|||M^Married^HL70002")

    def _pv1(self, fact: Fact) -> str:
        visit = fact.visit
        if visit is None:
            return f"PV1|1|{'I' if fact.trigger == 'A01' else 'O'}"
        npi, family, given = _DOCTORS[visit.clinician % len(_DOCTORS)]
        fields = ["PV1", "1", "O", f"HEART^{visit.room}^^MERCY", "", "", "", f"{npi}^{family}^{given}^^^Dr",
                  "", "", "CAR", *[""] * 8, f"MV-{visit.number}^^^MERCY&2.999.20.1&ISO^VN"]
        if fact.trigger in {"A03", "A04"}:
            fields += _stay(fields, fact, visit, self._time)
            fields += [""] * (50 - len(fields)) + [f"MA-{visit.number}^^^MERCY&2.999.20.2&ISO^FILL"]
        return "|".join(fields)

    def _resources(self, visit: Visit, *, blocked: bool) -> list[str]:
        npi, family, given = _DOCTORS[visit.clinician % len(_DOCTORS)]
        _, _, service = self._KINDS[visit.kind % len(self._KINDS)]
        times = f"{self._time(visit.start)}|||{visit.minutes}|min|N"
        place = f"HEART^{visit.room}^^MERCY"
        doctor = f"{npi}^{family}^{given}^^^Dr^^^NPPES&2.16.840.1.113883.4.6&ISO"
        lines = ["RGS|1"]
        if not blocked:
            lines += [f"AIS|1||{service}|{times}",
                      f"AIG|1||EKG-{visit.room}^Portable EKG^MERCY|EQP^Equipment^MERCY||||{times}"]
        return [*lines, f"AIL|1||{place}|EXAM^Exam room^MERCY||{times}",
                f"AIP|1||{doctor}^L^^^NPI|ATND^Attending^HL70443||{times}"]


def _stay(fields: list[str], fact: Fact, visit: Visit, text: Callable[[datetime], str]) -> list[str]:
    """PV1-44 and, after the discharge, PV1-45, with the empty fields before them."""
    times = [text(fact.at - timedelta(minutes=visit.minutes))]
    return [""] * (44 - len(fields)) + times + ([text(fact.at)] if fact.trigger == "A03" else [])


def _local(at: datetime) -> str:
    return at.strftime("%Y%m%d%H%M%S")


STYLES: Final[dict[str, type[Lakeside] | type[Mercy]]] = {"lakeside": Lakeside, "mercy": Mercy}
