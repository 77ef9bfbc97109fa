"""What CORE connectivity offers to the configuration."""

from __future__ import annotations

from typing import Final

from connectors.base import Accept, AckReport, ConnectorSpec
from connectors.core.confirm import Confirmation
from connectors.core.receiver import CoreReceiver
from connectors.core.sender import CoreSender
from connectors.core.settings import CoreIn, CoreOut
from connectors.x12.peek import peek
from connectors.x12.stream import split


def build_receiver(name: str, settings: CoreIn, accept: Accept, ack_report: AckReport) -> CoreReceiver:
    """The receiver, with eyes for X12 and a pen for its 999."""
    return CoreReceiver(name, settings, accept, ack_report, split=lambda payload: split([payload]), peek=peek,
                        acknowledge=Confirmation())


CORE_IN: Final = ConnectorSpec(
    name="core", direction="in", settings=CoreIn, build=build_receiver,
    summary="Fetches what a payer has ready, batch results and acknowledgements, stores it and then confirms it")
CORE_OUT: Final = ConnectorSpec(
    name="core", direction="out", settings=CoreOut, build=CoreSender,
    summary="Sends X12 to a payer in the CAQH CORE envelope, in real time or in batches")
