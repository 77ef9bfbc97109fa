"""The HL7 v2 connectors under the suites that every connector runs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

from canonical.phi import Phi
from connectors.base import Dispatch, Receiver, Sender
from connectors.hl7v2.codec import Er7Codec
from connectors.hl7v2.receiver import MllpReceiver
from connectors.hl7v2.sender import MllpSender
from connectors.hl7v2.settings import MllpIn, MllpOut
from tests.conformance.codec import CodecConformance
from tests.conformance.door import Door
from tests.conformance.receiver import Client, ReceiverConformance
from tests.conformance.sender import Peer, SenderConformance
from tests.hl7v2.messages import merge, siu
from tests.hl7v2.mllp import ScriptedPeer, raw_client, scripted_peer


class TestMllpReceiver(ReceiverConformance):
    """MLLP in, original mode."""

    @contextlib.asynccontextmanager
    async def running(self, door: Door, like: Receiver | None = None) -> AsyncIterator[Receiver]:
        port = like.port if isinstance(like, MllpReceiver) else 0
        receiver = MllpReceiver("from-ehr", MllpIn(port=port), door.accept, door.report)
        await receiver.start()
        if like is None:  # so that the port is known to who comes after
            receiver.settings = MllpIn(port=receiver.port)
        try:
            yield receiver
        finally:
            await receiver.stop(1.0)

    def client(self, receiver: Receiver) -> AbstractAsyncContextManager[Client]:
        assert isinstance(receiver, MllpReceiver)
        return raw_client(receiver.port)

    def message(self, number: int) -> bytes:
        return siu(f"M{number}", patient=f"MRN{number}")

    def refused_message(self) -> bytes:
        return siu("")

    def is_positive(self, answer: bytes) -> bool:
        return b"MSA|AA|" in answer

    def is_about(self, answer: bytes, number: int) -> bool:
        return f"MSA|AA|M{number}\r".encode() in answer


class TestMllpSender(SenderConformance):
    """MLLP out."""

    def peer(self) -> AbstractAsyncContextManager[Peer]:
        return scripted_peer()

    @contextlib.asynccontextmanager
    async def running(self, peer: Peer) -> AsyncIterator[Sender]:
        assert isinstance(peer, ScriptedPeer)
        sender = MllpSender("to-lab", MllpOut(port=peer.port, max_sessions=4, ack_timeout_s=0.3,
                                              reconnect_min_s=0.02, reconnect_max_s=0.1))
        await sender.start()
        try:
            yield sender
        finally:
            await sender.stop(1.0)

    def dispatch(self, number: int) -> Dispatch:
        return Dispatch(identity=f"D{number}", body=Phi(siu(f"D{number}")), content_type=Er7Codec.content_type)


class TestEr7Codec(CodecConformance):
    """ER7."""

    codec = Er7Codec()

    def samples(self) -> list[bytes]:
        return [siu("1"), siu("2", event="S15"), merge(), siu("3").replace(b"\r", b"\r\n"),
                siu("4")[:-1], siu("5", charset="UNICODE UTF-8").replace(b"Check-up", "Prüfung".encode())]
