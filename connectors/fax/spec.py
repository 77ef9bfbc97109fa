"""What documents inside of messages offer to the configuration."""

from __future__ import annotations

from typing import Final

from connectors.fax.unpack import UnpackOut, UnpackSender
from connectors.inside import InsideSpec

UNPACK_OUT: Final = InsideSpec(
    name="unpack", direction="out", settings=UnpackOut, build=UnpackSender,
    summary="Takes the documents out of stored HL7 v2 messages; each comes back through the channel under `responses`")
