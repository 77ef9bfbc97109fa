"""Back-pressure slows senders down; it never refuses them."""

from __future__ import annotations

from router.broker_local import LocalBroker
from router.pressure import HEALTHY, LONGEST_S, Pressure


class Shared(LocalBroker):
    """A broker with others behind it."""

    alone = False
    told = 0

    def press(self, backlog: int) -> None:
        self.told = backlog

    def pressed(self) -> int:
        return self.told


def pressing(due: int = 0, broker: LocalBroker | None = None) -> Pressure:
    return Pressure(lambda: due, lambda: 4, broker or LocalBroker())


def accepted(pressure: Pressure, count: int) -> None:
    for _ in range(count):
        pressure.accepted()


def test_a_healthy_backlog_delays_nobody() -> None:
    pressure = pressing()
    accepted(pressure, HEALTHY)
    assert pressure.delay() == 0


def test_acknowledgements_wait_longer_the_more_has_gathered_but_never_for_ever() -> None:
    pressure = pressing()
    accepted(pressure, 2 * HEALTHY)
    some = pressure.delay()
    accepted(pressure, HEALTHY)
    assert 0 < some < pressure.delay()
    accepted(pressure, 100 * HEALTHY)
    assert pressure.delay() == LONGEST_S


def test_what_was_worked_off_does_not_count() -> None:
    pressure = pressing()
    accepted(pressure, 2 * HEALTHY)
    pressure.taken(HEALTHY)
    assert pressure.delay() == 0
    pressure.taken(10 * HEALTHY)
    accepted(pressure, HEALTHY)
    assert pressure.delay() == 0


def test_deliveries_that_could_go_count_too() -> None:
    assert pressing(3 * HEALTHY).delay() > 0


def test_what_others_work_off_is_told_by_them_and_not_counted_at_the_door() -> None:
    broker = Shared()
    door = pressing(broker=broker)
    accepted(door, 10 * HEALTHY)
    assert door.delay() == 0
    broker.press(HEALTHY)
    assert door.delay() > 0


def test_a_worker_tells_from_one_partition_how_full_the_others_are() -> None:
    worker = pressing(broker=Shared())
    worker.taken(HEALTHY)
    assert worker.excess() == 3 * HEALTHY
    worker.taken(1)
    assert worker.excess() == 0
