"""Back-pressure slows senders down; it never refuses them."""

from __future__ import annotations

from router.pressure import HEALTHY, LONGEST_S, Pressure


def accepted(pressure: Pressure, count: int) -> None:
    for _ in range(count):
        pressure.accepted()


def test_a_healthy_backlog_delays_nobody() -> None:
    pressure = Pressure(lambda: 0)
    accepted(pressure, HEALTHY)
    assert pressure.delay() == 0


def test_acknowledgements_wait_longer_the_more_has_gathered_but_never_for_ever() -> None:
    pressure = Pressure(lambda: 0)
    accepted(pressure, 2 * HEALTHY)
    some = pressure.delay()
    accepted(pressure, HEALTHY)
    assert 0 < some < pressure.delay()
    accepted(pressure, 100 * HEALTHY)
    assert pressure.delay() == LONGEST_S


def test_what_was_worked_off_does_not_count() -> None:
    pressure = Pressure(lambda: 0)
    accepted(pressure, 2 * HEALTHY)
    pressure.taken(HEALTHY)
    assert pressure.delay() == 0
    pressure.taken(10 * HEALTHY)
    accepted(pressure, HEALTHY)
    assert pressure.delay() == 0


def test_deliveries_that_could_go_count_too() -> None:
    assert Pressure(lambda: 3 * HEALTHY).delay() > 0
