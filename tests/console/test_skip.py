"""skip: people decide, with a reason, and the trail says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Dragoman = Callable[..., Any]


def test_a_skipped_message_frees_its_lane_and_is_audited(dragoman: Dragoman) -> None:
    said = dragoman("skip", "m2", "--reason", "sent by a broken test script", "--json")
    assert (said.code, said.json["done"]) == (0, 1)
    rows = {row["id"]: row["state"] for row in dragoman("messages", "--json").json["messages"]}
    assert (rows["m2"], rows["m3"]) == ("discarded", "received")
    (entry,) = dragoman("audit", "list", "--json").json["entries"]
    assert (entry["action"], entry["subject"], entry["reason"]) == (
        "message.skipped", "m2", "sent by a broken test script")
    assert "sent by a broken test script" in dragoman("show", "m2").out


def test_a_skipped_delivery_is_audited(dragoman: Dragoman) -> None:
    said = dragoman("skip", "--delivery", "m1.0>downstream", "--reason", "they entered it by hand", "--json")
    assert said.code == 0
    states = {item["destination"]: item["state"]
              for item in dragoman("show", "m1", "--json").json["events"][0]["deliveries"]}
    assert states["downstream"] == "skipped"
    assert "they entered it by hand" in dragoman("show", "m1").out


@pytest.mark.parametrize(("arguments", "says"), [
    ([], "name one message or one --delivery"),
    (["m2", "--delivery", "m1.0>erp", "--reason", "x"], "name one message or one --delivery"),
    (["m1", "--reason", "x"], "m1 is processed, not parked"),
    (["m9", "--reason", "x"], "no such message"),
    (["--delivery", "m1.0>erp", "--reason", "x"], "no parked or pending delivery"),
    (["m2"], "a reason is needed"),
])
def test_what_cannot_be_skipped_is_explained_and_nothing_is_done(
        dragoman: Dragoman, arguments: list[str], says: str) -> None:
    said = dragoman("skip", *arguments)
    assert said.code == 2
    assert says in said.err
    assert dragoman("messages", "--state", "parked", "--json").json["messages"][0]["id"] == "m2"
