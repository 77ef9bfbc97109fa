"""The fault plan of the simulators."""

from __future__ import annotations

import pytest

from simulators.faults import Fault, Plan


def seen(plan: Plan, count: int) -> list[str]:
    faults = [plan.next() for _ in range(count)]
    return [fault.kind if fault else "" for fault in faults]


@pytest.mark.parametrize(("rule", "expected"), [
    ("lost always", ["lost"] * 6),
    ("lost once", ["lost", "", "", "", "", ""]),
    ("lost at 3", ["", "", "lost", "", "", ""]),
    ("lost first 2", ["lost", "lost", "", "", "", ""]),
    ("lost every 3", ["", "", "lost", "", "", "lost"]),
    ("lost rate 100%", ["lost"] * 6),
    ("lost rate 0%", [""] * 6),
])
def test_a_rule_picks_its_requests(rule: str, expected: list[str]) -> None:
    assert seen(Plan(rule), 6) == expected


def test_time_counts_from_the_first_request() -> None:
    now = [100.0]
    plan = Plan("503 for 5s", "500 after 10s for 5s", clock=lambda: now[0])
    kinds = []
    for now[0] in (100.0, 104.9, 105.0, 109.9, 110.0, 114.9, 115.0):
        kinds += seen(plan, 1)
    assert kinds == ["503", "503", "", "", "500", "500", ""]


def test_the_first_rule_that_applies_decides() -> None:
    assert seen(Plan("ae at 2", "ar every 2"), 4) == ["", "ae", "", "ar"]


def test_the_argument_stays_with_the_kind() -> None:
    assert Plan("429:17 once").next() == Fault("429", "17")
    assert Fault("late", "0.5").seconds(9) == 0.5
    assert Fault("late").seconds(9) == 9


def test_chance_is_reproducible() -> None:
    assert seen(Plan("lost rate 40%", seed=7), 50) == seen(Plan("lost rate 40%", seed=7), 50)
    assert set(seen(Plan("lost rate 40%", seed=7), 50)) == {"", "lost"}


def test_a_plan_can_be_replaced_while_it_runs() -> None:
    plan = Plan("lost always")
    assert seen(plan, 1) == ["lost"]
    plan.replace("ae at 2")
    assert seen(plan, 3) == ["", "ae", ""]
    plan.replace()
    assert seen(plan, 3) == ["", "", ""]
    assert plan.faults == 2


@pytest.mark.parametrize("rule", ["", "lost", "lost sometimes", "lost every 0", "LOST once", "lost for 5"])
def test_a_rule_that_cannot_be_read_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match="not a fault rule"):
        Plan(rule)
