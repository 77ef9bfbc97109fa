"""The acknowledgements of a batch are fetched like its results (4.2, X11; CORE 270, batch interaction)."""

from __future__ import annotations

import asyncio

import pytest

from canonical.phi import Phi
from connectors.base import Delivered, Dispatch
from connectors.core.receiver import CoreReceiver
from connectors.core.sender import CoreSender
from connectors.core.settings import CoreIn, CoreOut
from connectors.x12.acknowledge import Disposition, verdicts
from connectors.x12.edi import parse
from connectors.x12.reception import Reception
from simulators.faults import Plan
from simulators.payer import Payer
from store.memory import MemoryLedger
from tests.conformance.door import Door, until
from tests.core.messages import inquiry

FETCH = ("X12_999_RetrievalRequest_005010X231A1", "X12_TA1_RetrievalRequest_00501X231A1",
         "X12_005010_Request_Batch_Results_271")


async def submitted(payer: Payer, form: str) -> None:
    sender = CoreSender("payer", CoreOut(url=payer.url, sender_id="NORTHGATE", receiver_id="ACME", mode="batch",
                                         envelope=form, collect_s=0.05))  # type: ignore[arg-type] # a literal, given as text
    await sender.start()
    said = await asyncio.gather(*(sender.send(Dispatch(
        identity=f"d-{number}", body=Phi(inquiry(number)), content_type="application/EDI-X12")) for number in (1, 2)))
    await sender.stop(1)
    assert all(isinstance(one, Delivered) for one in said)


async def fetched(payer: Payer, form: str, count: int) -> list[bytes]:
    door = Door()
    receiver = CoreReceiver("results", CoreIn(
        url=payer.url, sender_id="NORTHGATE", receiver_id="ACME", every_s=0.02, fetch=FETCH,
        envelope=form), door.accept, door.report,  # type: ignore[arg-type] # a literal, given as text
        Reception((), MemoryLedger(partitions=1)))
    await receiver.start()
    try:
        await until(lambda: len(door.submissions) == count)
        await asyncio.sleep(0.1)
    finally:
        await receiver.stop(1)
    return [one.raw.reveal() for one in door.submissions]


@pytest.mark.parametrize("form", ["soap", "mime", "rest"])
async def test_a_batch_that_is_taken_has_a_999_for_each_interchange_and_its_results(form: str) -> None:
    async with Payer() as payer:
        await submitted(payer, form)
        raw = await fetched(payer, form, 4)
        assert payer.receipts == payer.results == []
    said = [one for each in raw for one in verdicts(parse(each))]
    assert [(one.number, one.disposition, one.whole) for one in said] == [
        (1, Disposition.ACCEPTED, False), (2, Disposition.ACCEPTED, False)]
    assert sum(each.count(b"ST*271") for each in raw) == 2


@pytest.mark.parametrize(("fault", "whole", "code"), [("reject", False, "R"), ("ta1:022", True, "022")])
async def test_a_batch_that_is_refused_has_its_999_or_ta1_and_no_results(fault: str, whole: bool, code: str) -> None:
    """X11"""
    async with Payer(plan=Plan(f"{fault} once")) as payer:
        await submitted(payer, "soap")
        raw = await fetched(payer, "soap", 2)
        assert payer.results == []
    said = [one for each in raw for one in verdicts(parse(each))]
    assert [(one.number, one.disposition, one.whole, one.code) for one in said] == [
        (number, Disposition.REJECTED, whole, code) for number in (1, 2)]


async def test_where_nothing_is_ready_nothing_is_told() -> None:
    async with Payer() as payer:
        assert await fetched(payer, "soap", 0) == []
