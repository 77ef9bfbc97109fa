"""messages, show, parked: what a support person sees."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console
from rich.tree import Tree

from canonical.findings import finding
from console.screens.journey import _delivery
from console.views.journey import DeliveryView
from console.views.parked import _causes
from mapper.run import REQUIRED
from mapper.times import NO_OFFSET
from tests.console.world import CANARY, T0, World

Dragoman = Callable[..., Any]


def test_messages_are_listed_newest_first_with_what_became_of_them(dragoman: Dragoman) -> None:
    said = dragoman("messages", "--json")
    assert said.code == 0
    rows = said.json["messages"]
    assert [row["id"] for row in rows] == ["m4", "m3", "m2", "m1"]
    assert rows[3]["state"] == "processed"
    assert rows[3]["deliveries"] == {"parked": 1, "delivered": 1, "pending": 1}
    assert rows[3]["ack"] == "AA"


def test_a_message_behind_a_parked_one_is_shown_as_held_and_behind_which(dragoman: Dragoman) -> None:
    """A key that cannot proceed is parked alone: the screen says who waits for whom (finding 8)."""
    rows = {row["id"]: row for row in dragoman("messages", "--json").json["messages"]}
    assert (rows["m3"]["state"], rows["m3"]["held_behind"]) == ("held", "m2")
    assert (rows["m4"]["state"], rows["m4"]["held_behind"]) == ("received", "")


def test_only_held_messages_can_be_asked_for(dragoman: Dragoman) -> None:
    assert [row["id"] for row in dragoman("messages", "--held", "--json").json["messages"]] == ["m3"]
    assert [row["id"] for row in dragoman("messages", "--state", "held", "--json").json["messages"]] == ["m3"]


@pytest.mark.parametrize(("filters", "expected"), [
    (["--state", "parked"], ["m2"]),
    (["--code", "test.unmapped"], ["m2"]),
    (["--control-id", "C1"], ["m1"]),
    (["--destination", "erp"], ["m1"]),
    (["--parked-at", "downstream"], ["m1"]),
    (["--parked-at", "downstream", "--code", "test.refused"], ["m1"]),
    (["--parked-at", "downstream", "--code", "test.busy"], []),
    (["--channel", "nowhere"], []),
    (["--since", "2100-01-01"], []),
    (["--limit", "1", "--before", "3"], ["m2"]),
])
def test_lists_can_be_narrowed(dragoman: Dragoman, filters: list[str], expected: list[str]) -> None:
    assert [row["id"] for row in dragoman("messages", "--json", *filters).json["messages"]] == expected


@pytest.mark.parametrize(("option", "value"), [("--state", "lost"), ("--since", "yesterdayish")])
def test_a_filter_that_means_nothing_is_explained(dragoman: Dragoman, option: str, value: str) -> None:
    said = dragoman("messages", option, value)
    assert said.code == 2
    assert said.err.count("\n") == 1
    assert f"{option} {value}" in said.err


def test_show_tells_the_whole_path(dragoman: Dragoman) -> None:
    """8.9: every message explains itself on one screen."""
    said = dragoman("show", "m1")
    assert said.code == 0
    for part in ("SIU^S12", "processed", "EPIC|MERCY", "127.0.0.1:40000", "answered AA", "appointment.booked",
                 "decided by triage", "urgent", "→ fhir pending 429", "attempt 1", "the peer is busy",
                 "→ downstream parked AE", "the peer refused the content", "hint: ask the peer's people",
                 "→ erp delivered 201", "start", "SCH-11",
                 "unread input: ZAP-3", "dragoman replay --delivery 'm1.0>downstream'"):
        assert part in said.out, part


def test_lineage_leaf_by_leaf_is_there_for_the_asking(dragoman: Dragoman) -> None:
    """Rule 10 of the mapping language: every leaf has a lineage."""
    said = dragoman("show", "m1", "--lineage").out
    assert "SCH-11.4" in said
    assert "mappings/hl7v2/siu.yaml:20" in said


def test_the_commands_a_cluster_shows_find_its_members(dragoman: Dragoman) -> None:
    for cluster in dragoman("parked", "--json").json["clusters"]:
        found = dragoman(*cluster["look"].split()[1:], "--json").json["messages"]
        assert len(found) == cluster["count"]


def test_show_says_what_happens_next_and_when(dragoman: Dragoman) -> None:
    shown = dragoman("show", "m1", "--json").json
    steps = {item["destination"]: item["next"] for item in shown["events"][0]["deliveries"]}
    assert steps["fhir"] == "attempt 2 is due now"
    assert steps["downstream"].startswith("waits for a person")
    assert steps["erp"] == ""


def test_show_of_a_held_message_names_the_one_to_deal_with(dragoman: Dragoman) -> None:
    said = dragoman("show", "m3")
    assert "held until m2 is replayed or skipped" in said.out


def test_a_message_is_found_by_its_control_id(dragoman: Dragoman) -> None:
    assert dragoman("show", "C2", "--json").json["message"]["id"] == "m2"


def test_values_are_masked_until_somebody_asks(dragoman: Dragoman) -> None:
    """Z10: a masked viewer by default."""
    for arguments in (["show", "m1"], ["show", "m1", "--json"], ["show", "m2"], ["messages"], ["parked"]):
        said = dragoman(*arguments)
        assert CANARY not in said.out + said.err, arguments


def test_revealing_needs_a_reason_and_is_audited(dragoman: Dragoman, world: World) -> None:
    """Z10, A6.7: reveal writes an audit row."""
    said = dragoman("show", "m1", "--reveal", "--reason", "ticket 4711")
    assert CANARY in said.out
    entries = dragoman("audit", "list", "--json").json["entries"]
    assert [(entry["action"], entry["subject"], entry["reason"]) for entry in entries] == [
        ("message.viewed", "m1", "ticket 4711")]


def test_without_a_reason_nothing_is_revealed(dragoman: Dragoman) -> None:
    said = dragoman("show", "m1", "--reveal", "--reason", "  ")
    assert said.code != 0
    assert CANARY not in said.out + said.err


def test_an_unknown_message_is_one_line_and_exit_code_2(dragoman: Dragoman) -> None:
    said = dragoman("show", "nope")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "nope: no such message" in said.err


def test_parked_clusters_by_reason_with_the_command_that_mends(dragoman: Dragoman) -> None:
    """A6.1: clusters with counts and first and last times."""
    said = dragoman("parked", "--json")
    assert said.code == 1
    clusters = {cluster["what"]: cluster for cluster in said.json["clusters"]}
    assert clusters["message"]["reason"] == "test.unmapped"
    assert clusters["message"]["count"] == 1
    assert clusters["message"]["hint"] == "add a row to the code table, then replay"
    assert clusters["message"]["fix"] == "dragoman replay --channel mercy --code test.unmapped"
    assert clusters["delivery"]["fix"] == "dragoman replay --destination downstream --code test.refused"
    assert said.json["held"] == 1


def test_a_cluster_says_what_exactly_is_wrong_and_shows_an_example(dragoman: Dragoman) -> None:
    clusters = {cluster["what"]: cluster for cluster in dragoman("parked", "--json").json["clusters"]}
    assert clusters["message"]["causes"] == ["SCH-8.1 type: no row for this code in mercy/visit (see its file)"]
    assert clusters["message"]["example"] == "dragoman show m2"
    assert clusters["delivery"]["causes"] == []
    for cluster in clusters.values():
        assert dragoman(*cluster["example"].split()[1:]).code == 0
    screen = dragoman("parked").out
    assert "at SCH-8.1 type: no row for this code in mercy/visit (see its file)" in screen
    assert "show: dragoman show m2" in screen


def test_nothing_parked_is_exit_code_0(dragoman: Dragoman, world: World) -> None:
    world.ledger.__init__(partitions=4)  # type: ignore[misc]  # an empty ledger in the same house
    said = dragoman("parked")
    assert (said.code, said.out) == (0, "nothing waits for a person\n")


def test_screens_carry_no_escape_sequences_off_a_terminal(dragoman: Dragoman) -> None:
    for arguments in (["messages"], ["show", "m1"], ["parked"], ["audit", "verify"]):
        assert "\x1b" not in dragoman(*arguments).out


def test_the_audit_chain_is_verified(dragoman: Dragoman, world: World) -> None:
    """Z06: the verifier finds any edit."""
    dragoman("show", "m1", "--reveal", "--reason", "ticket 4711")
    said = dragoman("audit", "verify", "--json")
    assert (said.code, said.json) == (0, {"ok": True, "entries": 1, "broken_at": None})
    trail = world.ledger._trail
    trail[0] = type(trail[0])(1, trail[0].body.replace(b"4711", b"4712"), trail[0].hash)
    said = dragoman("audit", "verify", "--json")
    assert (said.code, said.json["ok"], said.json["broken_at"]) == (1, False, 1)


def test_the_newest_state_is_read_each_time(dragoman: Dragoman, world: World) -> None:
    from store.records import AuditEntry

    asyncio.run(world.ledger.discard_messages(["m2"], AuditEntry(
        at=T0, actor="t", action="message.skipped", subject="m2", reason="nonsense")))
    rows = {row["id"]: row for row in dragoman("messages", "--json").json["messages"]}
    assert (rows["m2"]["state"], rows["m3"]["state"]) == ("discarded", "received")


def test_a_field_that_could_not_be_read_is_told_by_its_own_fault_not_as_missing() -> None:
    required = finding(REQUIRED, at="AIL-6", field="start", row="siu.yaml:61:3")
    unread = finding(NO_OFFSET, at="TQ1-7", field="start", row="siu.yaml:61:3")
    other = finding(NO_OFFSET, at="TQ1-8", field="end", row="siu.yaml:67:3")
    assert _causes(REQUIRED.name, [(unread, required, other)] * 2) == [
        "TQ1-7 start siu.yaml:61:3: a time of day without offset, and no zone is known "
        "(declare the sender's `zone` in its site overlay)"]
    (alone,) = _causes(REQUIRED.name, [(required,)])
    assert alone.startswith("AIL-6 start siu.yaml:61:3 (")


def test_a_superseded_delivery_says_what_took_its_place() -> None:
    tree = Tree("m1")
    _delivery(tree, DeliveryView(id="m1.0>fhir", destination="fhir", state="superseded", since="", attempts=0, code="",
                                 reason="", next="", command="", findings=[], tries=[]))
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(tree)
    assert "not sent: a newer state of the same subject took its place" in console.export_text()
