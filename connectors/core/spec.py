"""What CORE connectivity offers to the configuration."""

from __future__ import annotations

from typing import Final

from connectors.base import ConnectorSpec
from connectors.core.receiver import CoreReceiver
from connectors.core.sender import CoreSender
from connectors.core.settings import CoreIn, CoreOut

CORE_IN: Final = ConnectorSpec(
    name="core", direction="in", settings=CoreIn, build=CoreReceiver, trading=True,
    summary="Fetches what a payer has ready, batch results and acknowledgements, stores it and then confirms it")
CORE_OUT: Final = ConnectorSpec(
    name="core", direction="out", settings=CoreOut, build=CoreSender,
    summary="Sends X12 to a payer in the CAQH CORE envelope, in real time or in batches")
