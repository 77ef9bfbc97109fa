"""An acknowledgement that comes as a message finds its delivery by the control id it names."""

from __future__ import annotations

import pytest

from canonical.model import Appointment
from canonical.query import Acknowledgement
from router.identity import answered, control_id
from store.ledger import Ledger
from store.memory import MemoryLedger
from tests.store.messages import NOW, accepted, lease, processed

LATER = NOW + 10**12


@pytest.fixture
async def ledger() -> Ledger:
    """Three messages, each delivered to two places."""
    one = MemoryLedger(partitions=1)
    await one.start()
    for number in (1, 2, 3):
        stored = await accepted(one, number)
        await one.commit(await lease(one), [processed(stored, "ehr", "lab")])
    return one


async def all_ids(ledger: Ledger) -> list[str]:
    return [delivery.id for delivery in await ledger.find_deliveries()]


async def test_the_delivery_is_found_by_msa_2_never_by_turn(ledger: Ledger) -> None:
    """F15, invariant 9: in whatever order the answers come."""
    for wanted in reversed(await all_ids(ledger)):
        found = await answered(ledger, Acknowledgement(control_id=control_id(wanted), code="AA"), LATER)
        assert found.delivery is not None
        assert (found.delivery.id, found.refused) == (wanted, False)


async def test_a_delivery_that_carried_the_state_of_its_subject_is_found_too(ledger: Ledger) -> None:
    """Invariant 8: the identity names the state as well."""
    wanted = (await all_ids(ledger))[0]
    found = await answered(ledger, Acknowledgement(control_id=control_id(wanted, Appointment()), code="AE"), LATER)
    assert found.delivery is not None
    assert (found.delivery.id, found.refused) == (wanted, True)


@pytest.mark.parametrize("name", ["", "M1", "0123456789abcdef0123"])
async def test_an_answer_to_nothing_of_ours_finds_nothing(ledger: Ledger, name: str) -> None:
    assert (await answered(ledger, Acknowledgement(control_id=name, code="AA"), LATER)).delivery is None


async def test_what_came_after_the_answer_cannot_be_meant(ledger: Ledger) -> None:
    (first, *_) = await all_ids(ledger)
    assert (await answered(ledger, Acknowledgement(control_id=control_id(first), code="AA"), NOW - 1)).delivery is None
