"""Batch results are fetched, stored first and then confirmed (spec 4.3; CORE 270, batch interaction)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from canonical.phi import Phi
from canonical.receipt import Receipt, ReceiptMint
from connectors.base import Delivered, Dispatch, Submission, Unavailable
from connectors.core.envelope import RESULTS, RESULTS_ACK, Envelope, Operation
from connectors.core.receiver import CoreReceiver
from connectors.core.sender import CoreSender
from connectors.core.settings import CoreIn, CoreOut
from connectors.x12.edi import parse
from connectors.x12.reception import Reception
from simulators.faults import Fault
from simulators.payer import Payer
from store.memory import MemoryLedger
from tests.core.messages import inquiry


@asynccontextmanager
async def _fetching(payer: Payer, accept: object, form: str = "soap") -> AsyncIterator[object]:
    settings = CoreIn(url=payer.url, sender_id="NORTHGATE", receiver_id="ACME", every_s=0.05,
                      envelope=form)  # type: ignore[arg-type] # a literal, given as text
    it = CoreReceiver("results", settings, accept, lambda *_: None,  # type: ignore[arg-type] # any door
                      Reception((), MemoryLedger(partitions=1)))
    await it.start()
    try:
        yield it
    finally:
        await it.stop(1.0)


async def _submit(payer: Payer, count: int) -> None:
    sender = CoreSender("payer", CoreOut(url=payer.url, sender_id="NORTHGATE", receiver_id="ACME", mode="batch",
                                         collect_s=0.05))
    await sender.start()
    said = await asyncio.gather(*(sender.send(Dispatch(
        identity=f"d-{number}", body=Phi(inquiry(number)), content_type="application/EDI-X12"))
        for number in range(1, count + 1)))
    await sender.stop(0.1)
    assert all(isinstance(one, Delivered) for one in said)


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


class _Door:
    def __init__(self, *, away: int = 0, wrong: type[Exception] = Unavailable) -> None:
        self.taken: list[Submission] = []
        self.away = away
        self.wrong = wrong
        self.refused = 0

    async def __call__(self, submission: Submission) -> Receipt:
        if self.refused < self.away:
            self.refused += 1
            raise self.wrong
        self.taken.append(submission)
        return ReceiptMint().issue(str(len(self.taken)), submission.peek.control_id, 0)


async def test_results_of_a_batch_are_stored_and_confirmed_with_a_999() -> None:
    door = _Door()
    async with Payer() as payer:
        await _submit(payer, 2)
        async with _fetching(payer, door):
            await _until(lambda: len(payer.confirmed) == 2)
        assert [one.raw.reveal().count(b"~ST*271*") for one in door.taken] == [1, 1]
        assert all(b"~AK9*A*1*1*1~" in one.replace(b"\n", b"") for one in payer.acknowledgements)


@pytest.mark.parametrize("wrong", [Unavailable, TypeError])
async def test_nothing_is_confirmed_while_the_ledger_is_away(wrong: type[Exception]) -> None:
    """What could not be stored is offered again, and is confirmed once it is; so it is after a defect of ours."""
    door = _Door(away=2, wrong=wrong)
    async with Payer() as payer:
        await _submit(payer, 1)
        async with _fetching(payer, door):
            await _until(lambda: door.refused == 2)
            assert not payer.confirmed
            await _until(lambda: len(payer.confirmed) == 1)
    assert len(door.taken) == 1


async def test_control_numbers_of_confirmations_never_repeat() -> None:
    """X07: they are the ledger's, of the sequence of what is sent to this partner; the same payload has the same."""
    ledger = MemoryLedger(partitions=1)
    assert await ledger.number("x12:ISA:ZZ/ACME:ZZ/NORTHGATE", "a question", 0) == 1
    numbers = []
    for number in (1, 2, 1):
        answer = await Reception((), ledger).acknowledge(inquiry(number))  # another one each time: a restart
        numbers.append(parse(answer).interchanges[0].header.element(13))
    assert numbers == ["000000002", "000000003", "000000002"]


class _Failing(Payer):
    """Damages what it offers, or does not take its confirmation, for the first `times`."""

    def __init__(self, operation: Operation, times: int) -> None:
        super().__init__()
        self._fails, self._times = operation, times

    def _serve_operation(self, operation: Operation, asked: Envelope, fault: Fault | None) -> Envelope:
        if operation is self._fails and self._times and (operation is RESULTS_ACK or self.results or self._offered):
            self._times -= 1
            if operation is RESULTS_ACK:
                raise ValueError
            return msgspec.structs.replace(super()._serve_operation(operation, asked, fault), checksum="0" * 40)
        return super()._serve_operation(operation, asked, fault)


async def test_an_unconfirmed_result_comes_again_and_is_known_as_the_same() -> None:
    """Spec 4.3: the ledger sees the same message twice, by the same key."""
    door = _Door()
    async with _Failing(RESULTS_ACK, 1) as payer:
        await _submit(payer, 1)
        async with _fetching(payer, door):
            await _until(lambda: len(payer.confirmed) == 1)
    first, again = door.taken
    assert first.peek.dedup == again.peek.dedup
    assert first.raw.reveal() == again.raw.reveal()


async def test_a_damaged_payload_is_neither_stored_nor_confirmed() -> None:
    """Spec 4.3: a checksum that does not match; the payload is fetched again."""
    door = _Door()
    async with _Failing(RESULTS, 1) as payer:
        await _submit(payer, 1)
        async with _fetching(payer, door) as it:
            await _until(lambda: len(payer.confirmed) == 1)
            assert it.failures == {"core.damaged": 1}  # type: ignore[attr-defined] # yielded as object
    assert len(door.taken) == 1


async def test_each_set_of_a_payload_is_a_message_that_names_its_payload() -> None:
    """Spec 4.3: one message for each transaction set, under one parent."""
    door = _Door()
    async with Payer() as payer:
        await _submit(payer, 2)
        payer.results = [b"".join(payer.results)]
        async with _fetching(payer, door):
            await _until(lambda: len(payer.confirmed) == 1)
        assert payer.acknowledgements[0].count(b"ISA*") == 2
    assert len(door.taken) == 2
    assert len({one.parent_id for one in door.taken} - {""}) == 1
