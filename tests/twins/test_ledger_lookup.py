"""What answering questions reads, on all three ledgers."""

from __future__ import annotations

from store.ledger import Ledger
from tests.store.messages import accepted, event, lease, processed


async def told(ledger: Ledger, *subjects: str) -> None:
    for number, subject in enumerate(subjects, 1):
        stored = await accepted(ledger, number)
        one = event(number, subject)
        state = processed(stored).states[0]
        await ledger.commit(await lease(ledger), [processed(
            stored, events=(one,), states=(type(state)(subject_key=subject, version=one.version.at, event_id=one.id,
                                                       entity=one.entity),))])


async def test_subjects_of_a_kind_come_in_the_order_of_their_keys_a_page_at_a_time(ledger: Ledger) -> None:
    await told(ledger, "appointment:A|3", "appointment:A|1", "slot:A|1", "appointment:Ä|9", "appointments:x")
    first = await ledger.subjects("appointment", "", 2)
    assert [state.subject_key for state in first] == ["appointment:A|1", "appointment:A|3"]
    rest = await ledger.subjects("appointment", first[-1].subject_key, 2)
    assert [state.subject_key for state in rest] == ["appointment:Ä|9"]
    assert await ledger.subjects("appointment", rest[-1].subject_key, 2) == []
    assert await ledger.subjects("patient", "", 2) == []
