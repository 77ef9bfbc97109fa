"""The site's configuration: every problem is one located line."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from canonical.findings import Rejection
from connectors.base import ConnectorSpec
from router.site import Loaded, load, shared_resources


class Port(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)]
    host: str = "127.0.0.1"


def spec(name: str, direction: str, **more: Any) -> ConnectorSpec[Any]:
    return ConnectorSpec(name=name, direction=direction, summary="", settings=Port, build=lambda: None, **more)


CONNECTORS = {("mllp", "in"): spec("mllp", "in"), ("http", "out"): spec("http", "out"),
              ("mllp", "out"): spec("mllp", "out", concludes=True)}
MAPPINGS = ["hl7v2/siu", "fhir/appointment"]

GOOD = """\
site: demo
channels:
  mercy:
    connector: mllp
    settings: {port: 2575}
    mapping: hl7v2/siu
    accepts: [SIU, ADT^A08]
destinations:
  scheduler:
    connector: http
    settings: {port: 80}
    mapping: fhir/appointment
    content: state
    idempotent: yes
    retry: {first_s: 0.5, attempts: 10}
routes:
  - {route: all, to: [scheduler], when: {event: starts appointment.}}
triage:
  - {rule: risky, when: {score.no_show: above 0.5}, priority: 5, queue: calls, tags: [risk]}
scorers:
  no_show: {default: 0.1, deadline_ms: 20}
"""


def read(text: str) -> Loaded:
    return load(text.encode(), "site.yaml", connectors=CONNECTORS, mappings=MAPPINGS, scorers=["no_show"])


def problems(text: str) -> list[str]:
    with pytest.raises(Rejection) as caught:
        read(text)
    return [str(found) for found in caught.value.findings]


def test_a_good_site_is_read_whole() -> None:
    site = read(GOOD).site
    assert site.channels["mercy"].settings == Port(port=2575)
    scheduler = site.destinations["scheduler"]
    assert (scheduler.idempotent, scheduler.retry.attempts, scheduler.content) == (True, 10, "state")
    assert site.scorers["no_show"].answer == 0.1
    assert site.partitions == 0, "as the ledger was made"


@pytest.mark.parametrize(("old", "new", "place", "words"), [
    ("accepts:", "acepts:", "7:5", "did you mean accepts?"),
    ("port: 2575", "prot: 2575", "5:16", "did you mean port?"),
    ("port: 2575", "port: 99999", "5:22", "65535"),
    ("idempotent: yes", "idempotent: perhaps", "14:17", "bool"),
    ("content: state", "content: both", "13:14", "Invalid enum value"),
    ("mapping: hl7v2/siu", "mapping: hl7v2/sui", "6:14", "did you mean hl7v2/siu?"),
    ("connector: mllp", "connector: mlpp", "4:16", "did you mean mllp?"),
    ("to: [scheduler]", "to: [sheduler]", "17:23", "did you mean scheduler?"),
    ("{event: starts", "{evnt: starts", "17:42", "did you mean event?"),
    ("score.no_show: above 0.5", "score.noshow: above 0.5", "19:26", "did you mean score.no_show?"),
    ("score.no_show: above 0.5", "score.no_show: above much", "19:41", "above needs a number"),
    ("  no_show: {", "  no_shw: {", "21:3", "did you mean no_show?"),
    ("priority: 5", "priority: 12", "19:63", "<= 9"),
    ("site: demo\n", "", "1:1", "the key site is missing"),
])
def test_each_problem_has_its_place_and_a_hint(old: str, new: str, place: str, words: str) -> None:
    found = problems(GOOD.replace(old, new, 1))
    assert any(f"site.yaml:{place}" in line and words in line for line in found), found


@pytest.mark.parametrize(("connector", "channel", "words"), [
    ("http", "mercy", "config.acknowledged_once"), ("mllp", "mercies", "did you mean mercy?"),
    ("mllp", "rows", "channel rows has no table for ACK")])
def test_a_second_acknowledgement_needs_a_peer_that_gives_it_and_a_channel_that_reads_it(
        connector: str, channel: str, words: str) -> None:
    """A02: `application_acks` of a destination."""
    def with_acks(connector: str, channel: str) -> str:
        return GOOD.replace("connector: http", f"connector: {connector}\n    application_acks: {channel}").replace(
            "destinations:", "  rows: {connector: mllp, settings: {port: 1}, mapping: {SIU: hl7v2/siu}}\ndestinations:")

    assert any(words in line for line in problems(with_acks(connector, channel)))
    assert read(with_acks("mllp", "mercy")).site.destinations["scheduler"].application_acks == "mercy"


def test_all_problems_are_told_at_once() -> None:
    text = GOOD.replace("mapping: hl7v2/siu", "mapping: a").replace("to: [scheduler]", "to: [b]")
    assert len(problems(text)) == 2
    text = GOOD.replace("idempotent: yes", "idempotent: maybe").replace("deadline_ms: 20", "deadline_ms: x")
    assert len(problems(text + "sites: x\n")) == 3


def test_a_destination_that_no_route_reaches_is_a_warning() -> None:
    text = GOOD.replace("when: {event: starts appointment.}}", "when: {event: x}}").replace(
        "routes:\n", "  spare: {connector: http, settings: {port: 1}, mapping: fhir/appointment}\nroutes:\n")
    assert [f.code for f in read(text).findings] == ["config.unreached"]


@pytest.mark.parametrize(("resends", "codes"), [("6", []), ("6.5", ["config.retention_too_short"])])
def test_a_retention_that_ends_before_the_partner_stops_resending_is_a_warning(resends: str, codes: list[str]) -> None:
    """D02: a resend of a message that has been forgotten would be a new one."""
    text = GOOD.replace("mapping: hl7v2/siu\n", f"mapping: hl7v2/siu\n    resends_for_days: {resends}\n")
    assert [f.code for f in read(text + "retention: {days: 6}\n").findings] == codes


def test_two_channels_with_one_port_are_found() -> None:
    loaded = read(GOOD.replace("destinations:", "  other:\n    connector: mllp\n    settings: {port: 1}\n"
                                                "    mapping: hl7v2/siu\ndestinations:"))
    found = shared_resources([("mercy", ["tcp:127.0.0.1:1"]), ("other", ["tcp:127.0.0.1:1"])], loaded.marks)
    assert [str(f) for f in found] == [
        "fatal config.shared_resource at site.yaml:8:3: tcp:127.0.0.1:1 belongs to channel mercy already "
        "(Give each its own.)"]


