"""The facts that matter of one message, from our canonical events and from another converter's FHIR bundle.

A fact is a name and a set of texts, so that two answers can be compared without caring for ids, order, spelling
of extensions or the choice of resource. Times are compared as instants.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

Facts: TypeAlias = dict[str, frozenset[str]]
Json: TypeAlias = Mapping[str, Any]

PLACE_PARTS = ("point_of_care", "room", "bed", "facility", "building", "floor")


def instant(text: str) -> str:
    """The same moment in one spelling."""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat()


def facts(**found: Iterable[str | None]) -> Facts:
    """Facts without those that state nothing."""
    sets = {name: frozenset(value for value in values if value) for name, values in found.items()}
    return {name: values for name, values in sets.items() if values}


# -- ours ---------------------------------------------------------------------------------------------------


def of_patient(patient: Json) -> Facts:
    """Of a canonical patient in its JSON form."""
    return facts(
        patient_identifiers=(each.get("value") for each in patient.get("identifiers") or ()),
        patient_names=(each.get("family") for each in patient.get("names") or ()),
        birth_date=[(patient.get("birth_date") or "")[:10]],
        sex=[patient.get("sex")],
        merged_away=(each.get("value") for link in patient.get("links") or ()
                     for each in link.get("identifiers") or ())) | _visit(patient.get("visit") or {})


def _visit(visit: Json) -> Facts:
    return facts(
        visit_number=[(visit.get("identifier") or {}).get("value")],
        visit_class=[visit.get("patient_class")],
        visit_place=[_place(visit.get("location") or {})],
        admitted=[instant(visit["admitted_at"])] if visit.get("admitted_at") else (),
        attending=(_first(each) for each in visit.get("attending") or ()))


def _place(place: Json) -> str:
    return " ".join(sorted(part for key in PLACE_PARTS if (part := place.get(key))))


def of_appointment(appointment: Json) -> Facts:
    """Of a canonical appointment in its JSON form."""
    participants = appointment.get("participants") or ()
    found = facts(
        identifiers=(f"{each.get('type')} {each.get('value')}" for each in appointment.get("identifiers") or ()),
        status=[appointment.get("status")],
        start=[instant(appointment["start"])] if appointment.get("start") else (),
        end=[instant(appointment["end"])] if appointment.get("end") else (),
        minutes=[str(appointment["duration"])] if appointment.get("duration") else (),
        kind=_codes(appointment.get("reason")),
        practitioners=(_first(each["who"]) for each in participants
                       if each["kind"] == "practitioner" and each.get("who")),
        equipment=(_first(each["who"]) for each in participants if each["kind"] == "equipment" and each.get("who")),
        places=(_place(each["place"]) for each in participants if each["kind"] == "location" and each.get("place")),
        services=(code for each in appointment.get("services") or () for code in _codes(each.get("code"))))
    return found | of_patient(appointment.get("patient") or {}) | _visit(appointment.get("visit") or {})


def _first(reference: Json) -> str | None:
    identifiers = reference.get("identifiers") or ()
    return identifiers[0].get("value") if identifiers else None


def _codes(concept: Json | None) -> list[str | None]:
    return [coding.get("code") for coding in ((concept or {}).get("coding") or ())[:1]]


def of_family_entity(entity: Json) -> Facts:
    """Of a referral, a request, a document or a charge in its JSON form: the person and the number of the visit."""
    visit = entity.get("visit") or {}
    return of_patient(entity["patient"]) | facts(visit_number=[(visit.get("identifier") or visit).get("value")])


# -- theirs -------------------------------------------------------------------------------------------------


def of_bundle(bundle: Json) -> Facts:
    """Of the FHIR bundle another converter made."""
    resources = [entry["resource"] for entry in bundle["entry"]]
    by_id = {f"{each['resourceType']}/{each['id']}": each for each in resources if "id" in each}
    found: Facts = {}
    for resource in resources:
        if resource["resourceType"] == "Appointment":
            found |= _appointment(resource, by_id)
        elif resource["resourceType"] == "Patient":
            found |= _patient(resource)
        elif resource["resourceType"] == "Encounter":
            found |= _encounter(resource, by_id)
        elif resource["resourceType"] == "Linkage":
            found |= _linkage(resource)
    return found


def of_family(bundle: Json) -> Facts:
    """Of the bundle made of a message of another family: the person and the number of the visit."""
    wanted = {"patient_identifiers", "patient_names", "birth_date", "sex", "visit_number"}
    return {name: values for name, values in of_bundle(bundle).items() if name in wanted}


def _encounter(encounter: Json, by_id: Mapping[str, Json]) -> Facts:
    places = [by_id[each["location"]["reference"]] for each in encounter.get("location") or ()
              if each.get("status") == "active"]
    started = (encounter.get("period") or {}).get("start")
    return facts(
        visit_number=(each.get("value") for each in (encounter.get("identifier") or ())
                      if each.get("type", {}).get("text") == "visit number"),
        visit_class=[encounter["class"].get("code")],
        visit_place=(_described(place) for place in places),
        admitted=[instant(started)] if started else (),
        attending=(by_id[each["individual"]["reference"]]["identifier"][0].get("value")
                   for each in encounter.get("participant") or ()
                   if each.get("type", [{}])[0].get("coding", [{}])[0].get("code") == "ATND"))


def _described(place: Json) -> str:
    return " ".join(sorted(part for part in place.get("description", "").split("--")))


def _linkage(linkage: Json) -> Facts:
    people = [item for item in linkage["item"] if item["resource"]["type"] == "Patient"]
    return facts(
        patient_identifiers=(each["resource"]["identifier"]["value"] for each in people if each["type"] == "source"),
        merged_away=(each["resource"]["identifier"]["value"] for each in people if each["type"] == "historical"))


def _patient(patient: Json) -> Facts:
    return facts(
        patient_identifiers=(each.get("value") for each in patient.get("identifier") or ()),
        patient_names=(each.get("family") for each in patient.get("name") or ()),
        birth_date=[patient.get("birthDate")],
        sex=[patient.get("gender")])


def _appointment(appointment: Json, by_id: Mapping[str, Json]) -> Facts:
    actors = [by_id[each["actor"]["reference"]] for each in appointment["participant"]]
    orders = [by_id[each["reference"]] for each in appointment.get("basedOn") or ()]

    def named(kind: str) -> list[str | None]:
        return [actor["identifier"][0].get("value") for actor in actors
                if actor["resourceType"] == kind and actor.get("identifier")]

    return facts(
        identifiers=(f"{each['type']['coding'][0]['code']} {each['value']}" for each in appointment["identifier"]),
        status=[appointment.get("status")],
        start=[instant(appointment["start"])] if "start" in appointment else (),
        end=[instant(appointment["end"])] if "end" in appointment else (),
        minutes=[str(appointment["minutesDuration"])] if "minutesDuration" in appointment else (),
        kind=_codes(appointment.get("appointmentType")),
        practitioners=named("Practitioner"),
        equipment=named("Device"),
        places=(_described(actor) for actor in actors
                if actor["resourceType"] == "Location" and "description" in actor),
        services=(code for each in orders for code in _codes(each.get("code"))))
