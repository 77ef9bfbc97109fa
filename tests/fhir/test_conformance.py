"""The FHIR sender does what every sender must do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from canonical.phi import Phi
from connectors.base import Dispatch, Sender
from connectors.fhir.sender import FhirSender
from connectors.fhir.settings import FhirOut
from tests.conformance.sender import Peer, SenderConformance
from tests.http.scripted import ScriptedPeer


class TestFhirSender(SenderConformance):
    """Resources by POST."""

    @asynccontextmanager
    async def peer(self) -> AsyncIterator[Peer]:
        async with ScriptedPeer() as peer:
            yield peer

    @asynccontextmanager
    async def running(self, peer: Peer) -> AsyncIterator[Sender]:
        it = FhirSender("out", FhirOut(url=cast("ScriptedPeer", peer).url, max_sessions=4, timeout_s=0.3))
        await it.start()
        try:
            yield it
        finally:
            await it.stop(0.1)

    def dispatch(self, number: int) -> Dispatch:
        body = f'{{"resourceType":"Appointment","id":"{number}","comment":"CANARY"}}'.encode()
        return Dispatch(identity=f"d-{number}", body=Phi(body), content_type="application/fhir+json")
