"""Programs of other people exchange messages with ours: PyPI's `hl7` and `hl7apy`, npm's `simple-hl7` and Medplum."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hl7
import hl7.client
import hl7.mllp
import pytest
from hl7apy.mllp import AbstractHandler, MLLPServer

from canonical.phi import Phi
from connectors.base import Delivered, Dispatch
from connectors.hl7v2.er7 import parse
from connectors.hl7v2.receiver import MllpReceiver
from connectors.hl7v2.sender import MllpSender
from connectors.hl7v2.settings import MllpIn, MllpOut
from tests import npm
from tests.conformance.door import Door
from tests.hl7v2.messages import siu

pytestmark = pytest.mark.peer
HERE = Path(__file__).parent
PACKAGES = ("simple-hl7@3.3.0", "@medplum/core@4.5.2", "@medplum/hl7@4.5.2")
NPM_NAMES = ("simple-hl7", "@medplum/hl7")


@pytest.fixture(scope="session")
def npm_folder() -> Path:
    """A folder with npm's peers, installed once a machine."""
    return npm.installed("mllp", PACKAGES)


@contextlib.asynccontextmanager
async def receiving(door: Door) -> AsyncIterator[int]:
    """The port of a receiver."""
    receiver = MllpReceiver("in", MllpIn(port=0), door.accept, door.report)
    await receiver.start()
    try:
        yield receiver.port
    finally:
        await receiver.stop(1.0)


async def deliver(port: int, numbers: range, *, keep_open: bool = True) -> None:
    """Send these messages with our sender; all must be delivered."""
    sender = MllpSender("out", MllpOut(port=port, ack_timeout_s=10.0, keep_open=keep_open))
    await sender.start()
    for number in numbers:
        outcome = await sender.send(Dispatch(identity=str(number), body=Phi(siu(f"M{number}")),
                                             content_type="x-application/hl7-v2+er7"))
        assert isinstance(outcome, Delivered), outcome
    await sender.stop(1.0)


async def test_python_hl7_sends_to_us() -> None:
    """``hl7.client.MLLPClient`` over one connection."""
    door = Door()

    def send(port: int) -> list[str]:
        with hl7.client.MLLPClient("127.0.0.1", port) as client:
            return [client.send_message(siu(f"M{number}").decode()).decode() for number in range(3)]

    async with receiving(door) as port:
        answers = await asyncio.to_thread(send, port)
    assert [str(hl7.parse(answer[1:-2]).segment("MSA")) for answer in answers] == [f"MSA|AA|M{n}" for n in range(3)]
    assert door.accepted == [siu(f"M{number}") for number in range(3)]


async def test_we_send_to_python_hl7() -> None:
    """``hl7.mllp.start_hl7_server``"""
    received: list[str] = []
    gone = asyncio.Event()

    async def serve(reader: hl7.mllp.HL7StreamReader, writer: hl7.mllp.HL7StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                message = await reader.readmessage()
                received.append(str(message))
                writer.writemessage(message.create_ack())
                await writer.drain()
        writer.close()
        gone.set()

    server = await hl7.mllp.start_hl7_server(serve, "127.0.0.1", 0)
    await deliver(server.sockets[0].getsockname()[1], range(3))
    server.close()
    await gone.wait()
    await asyncio.sleep(0)
    assert [parse(text.encode()).segments[0].field(10) for text in received] == ["M0", "M1", "M2"]


async def test_python_hl7_pipelines_to_us() -> None:
    """F02: ``hl7.mllp.open_hl7_connection``: three messages written before the first answer is read."""
    door = Door()
    async with receiving(door) as port:
        reader, writer = await hl7.mllp.open_hl7_connection("127.0.0.1", port)
        for number in range(3):
            writer.writemessage(hl7.parse(siu(f"M{number}").decode()))
        await writer.drain()
        answers = [await reader.readmessage() for _ in range(3)]
        writer.close()
    assert [str(answer.segment("MSA")) for answer in answers] == ["MSA|AA|M0", "MSA|AA|M1", "MSA|AA|M2"]
    assert len(door.accepted) == 3


async def test_python_hl7_speaks_enhanced_mode_with_us() -> None:
    """A02: it asks for an accept acknowledgement and gets CA; as a server it gives us one."""
    door = Door()
    gone = asyncio.Event()

    def send(port: int) -> str:
        with hl7.client.MLLPClient("127.0.0.1", port) as client:
            return str(client.send_message(siu("E1", accept="AL", application="NE").decode()).decode())

    async def serve(reader: hl7.mllp.HL7StreamReader, writer: hl7.mllp.HL7StreamWriter) -> None:
        writer.writemessage((await reader.readmessage()).create_ack(ack_code="CA"))
        await writer.drain()
        writer.close()
        gone.set()

    async with receiving(door) as port:
        assert "MSA|CA|E1" in await asyncio.to_thread(send, port)
    server = await hl7.mllp.start_hl7_server(serve, "127.0.0.1", 0)
    sender = MllpSender("out", MllpOut(port=server.sockets[0].getsockname()[1], ack_timeout_s=10.0))
    await sender.start()
    outcome = await sender.send(Dispatch(identity="1", body=Phi(siu("E2", accept="AL", application="NE")),
                                         content_type="x-application/hl7-v2+er7"))
    await sender.stop(1.0)
    server.close()
    await gone.wait()
    await asyncio.sleep(0)
    assert outcome == Delivered("CA")


async def test_python_hl7_sends_us_a_batch_and_reads_our_response_batch() -> None:
    """B01, B04: built and parsed by its own classes."""
    door = Door()
    text = ("FHS|^~\\&|EHR|MERCY|HUB|X|20260310||||F1\rBHS|^~\\&|EHR|MERCY|HUB|X|20260310||||B1\r"
            + siu("B1").decode() + siu("B2").decode() + "BTS|2\rFTS|1\r")
    assert [len(batch) for batch in hl7.parse_file(text)] == [2], "it agrees that this is a file of one batch"

    def send(port: int) -> str:
        with hl7.client.MLLPClient("127.0.0.1", port) as client:
            return str(client.send_message(text).decode())

    async with receiving(door) as port:
        answer = (await asyncio.to_thread(send, port))[1:-2]
    [batch] = hl7.parse_file(answer)
    assert [str(message.segment("MSA")) for message in batch] == ["MSA|AA|B1", "MSA|AA|B2"]
    assert str(batch.header[12]) == "B1"
    assert [submission.parent_id for submission in door.submissions] == ["", "message-1", "message-1"]


class Accepts(AbstractHandler):  # type: ignore[misc]  # hl7apy has no types
    """Acknowledges and keeps what came."""

    def reply(self) -> str:
        self.incoming_message: str
        control_id = self.incoming_message.split("|")[9]
        kept.append(control_id)
        return ("\x0bMSH|^~\\&|A|B|C|D|20260310||ACK^S12^ACK|" + f"R{control_id}|P|2.5.1\r"
                f"MSA|AA|{control_id}\r\x1c\r")


kept: list[str] = []


@pytest.fixture
def hl7apy_port() -> Iterator[int]:
    """hl7apy's server, which closes the connection after each message."""
    with MLLPServer("127.0.0.1", 0, {"SIU^S12^SIU_S12": (Accepts,)}) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


async def test_we_send_to_hl7apy_which_closes_after_each_message(hl7apy_port: int) -> None:
    """``keep_open: no`` is for such peers."""
    kept.clear()
    await deliver(hl7apy_port, range(3), keep_open=False)
    assert kept == ["M0", "M1", "M2"]


@pytest.mark.parametrize("name", NPM_NAMES)
async def test_npm_clients_send_to_us(npm_folder: Path, name: str) -> None:
    """They understand our acknowledgement."""
    door = Door()
    async with receiving(door) as port:
        process = await asyncio.create_subprocess_exec(
            "node", str(HERE / "npm_peer.mjs"), "client", name, str(port), cwd=npm_folder,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        async with asyncio.timeout(30):
            output, _ = await process.communicate(siu("N1"))
    assert "MSA|AA|N1" in json.loads(output)
    [received] = door.accepted
    patient = parse(received).first("PID")
    assert patient is not None
    assert patient.field(3) == "MRN12345^^^MERCY&1.2.3&ISO^MR~999-11-2222^^^SSA^SS"


@pytest.mark.parametrize("name", NPM_NAMES)
async def test_npm_clients_speak_enhanced_mode_with_us(npm_folder: Path, name: str) -> None:
    """A02: they take CA for the answer."""
    door = Door()
    async with receiving(door) as port:
        process = await asyncio.create_subprocess_exec(
            "node", str(HERE / "npm_peer.mjs"), "client", name, str(port), cwd=npm_folder,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        async with asyncio.timeout(30):
            output, _ = await process.communicate(siu("N2", accept="AL", application="NE"))
    assert "MSA|CA|N2" in json.loads(output)


@pytest.mark.parametrize("name", NPM_NAMES)
async def test_we_send_to_npm_servers(npm_folder: Path, name: str) -> None:
    """We understand their acknowledgement; one connection for all."""
    process = await asyncio.create_subprocess_exec(
        "node", str(HERE / "npm_peer.mjs"), "server", name, cwd=npm_folder,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    async with asyncio.timeout(30):
        port = json.loads(await process.stdout.readline())
        await deliver(port, range(3))
        received = [json.loads(await process.stdout.readline()) for _ in range(3)]
    process.stdin.close()
    await process.wait()
    assert ["|M0|" in received[0], "|M1|" in received[1], "|M2|" in received[2]] == [True] * 3
