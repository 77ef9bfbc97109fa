"""answered: what an acknowledgement that came as a message answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from canonical.model import CodeableConcept, Coding
from canonical.query import Acknowledgement, AcknowledgementError
from router.identity import control_id
from store.records import MessageState, Processed
from tests.console.world import CANARY, T0, World, _event, _message

Dragoman = Callable[..., Any]


@pytest.fixture
def answer(world: World) -> str:
    """An AE to the first delivery of the world, as a message."""
    async def fill() -> None:
        ledger = world.ledger
        wanted = (await ledger.find_deliveries())[0]
        said = msgspec.structs.replace(
            _event("m8"), type="acknowledgement.received", subject_key="acknowledgement:x", entity=Acknowledgement(
                control_id=control_id(wanted.id), code="AE", errors=(AcknowledgementError(
                    place="PID^1^3", text=CANARY, condition=CodeableConcept(coding=(Coding(code="204"),))),)))
        await ledger.append(_message(8, lanes=("message:m8",)))
        (stored,) = [each for partition in range(4) for each in await ledger.received(partition, 0, 100)
                     if each.id == "m8"]
        lease = await ledger.acquire(stored.partition, "test", T0, 60)
        assert lease is not None
        await ledger.commit(lease, [Processed(message_seq=stored.seq, message_id="m8", state=MessageState.FILTERED,
                                              at=T0, events=(said,))])
        await ledger.release(lease)

    asyncio.run(fill())
    return "m8"


def test_the_delivery_and_the_reason_are_shown_without_the_words_of_the_peer(dragoman: Dragoman, answer: str) -> None:
    said = dragoman("answered", answer, "--json")
    assert said.code == 1
    assert (said.json["code"], said.json["errors"], said.json["message"]) == ("AE", ["204 at PID^1^3"], "m1")
    assert CANARY not in said.out + dragoman("answered", answer).out


def test_a_message_that_is_no_acknowledgement_is_named(dragoman: Dragoman) -> None:
    said = dragoman("answered", "m1")
    assert said.code == 2
    assert "is no acknowledgement" in said.err
