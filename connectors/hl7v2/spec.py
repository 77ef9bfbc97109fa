"""What the HL7 v2 family offers to the configuration: `mllp` in and out."""

from __future__ import annotations

from typing import Final

from connectors.base import ConnectorSpec
from connectors.hl7v2.receiver import MllpReceiver
from connectors.hl7v2.sender import MllpSender
from connectors.hl7v2.settings import MllpIn, MllpOut

MLLP_IN: Final = ConnectorSpec(
    name="mllp", direction="in", settings=MllpIn, build=MllpReceiver, answers=True,
    summary="Takes HL7 v2 messages over MLLP and acknowledges each after it is stored")
MLLP_OUT: Final = ConnectorSpec(
    name="mllp", direction="out", settings=MllpOut, build=MllpSender, concludes=True,
    summary="Sends HL7 v2 messages over MLLP and waits for the acknowledgement of each")
