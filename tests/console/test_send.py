"""send: an MLLP client that explains the answer."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from console.frame import UserError
from console.output import Output
from console.screens.sent import sent as screen
from wiring.send import messages_of, send

ONE = b"MSH|^~\\&|A|B|C|D|20260301120000||SIU^S12|ID1|P|2.5.1\nSCH|1\n"
TWO = b"MSH|^~\\&|A|B|C|D|20260301120000||SIU^S12|ID2|P|2.5.1\r\nSCH|2\r\n"


def test_of_a_batch_the_messages_are_sent() -> None:
    """B01: headers and trailers are no messages."""
    batch = b"FHS|^~\\&\rBHS|^~\\&\r" + ONE + TWO + b"BTS|2\rFTS|1\r"
    assert messages_of(batch) == messages_of(ONE + TWO)


@asynccontextmanager
async def peer(answer: Callable[[bytes], bytes | None]) -> AsyncIterator[int]:
    """A system that answers what it is told to; None closes the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while frame := await reader.readuntil(b"\x1c\r"):
                said = answer(frame[1:-2])
                if said is None:
                    break
                writer.write(b"\x0b" + said + b"\x1c\r")
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def ack(message: bytes, code: str = "AA", control_id: str = "", more: str = "") -> bytes:
    own = message.split(b"|")[9].decode()
    return f"MSH|^~\\&|C|D|A|B|2026||ACK|X|P|2.5.1\rMSA|{code}|{control_id or own}\r{more}".encode()


async def test_every_message_of_a_file_is_sent_and_answered(tmp_path: Path) -> None:
    seen: list[bytes] = []
    file = tmp_path / "two.hl7"
    file.write_bytes(ONE + TWO)

    def answer(message: bytes) -> bytes:
        seen.append(message)
        return ack(message)

    async with peer(answer) as port:
        view = await send(file, "127.0.0.1", port, 5)
    assert view.ok
    assert [(one.control_id, one.code) for one in view.answers] == [("ID1", "AA"), ("ID2", "AA")]
    assert seen == [ONE.replace(b"\n", b"\r"), TWO.replace(b"\r\n", b"\r")]


async def test_a_refusal_is_explained_in_words(tmp_path: Path) -> None:
    """Finding 1: AE and AR are often taken for each other; the screen says what they mean."""
    file = tmp_path / "one.hl7"
    file.write_bytes(ONE)
    error = "ERR||SCH^1^11^1|101^Required field missing^HL70357|E||||start\\T\\end are needed\r"
    async with peer(lambda message: ack(message, "AE", more=error)) as port:
        view = await send(file, "127.0.0.1", port, 5)
    assert not view.ok
    (answer,) = view.answers
    assert "it will fail again" in answer.meaning
    (complaint,) = answer.complaints
    assert (complaint.code, complaint.meaning, complaint.location, complaint.text) == (
        "101", "required field missing", "SCH.1.11.1", "start&end are needed")
    stream = io.StringIO()
    Output(stdout=stream).show(view, screen)
    assert "required field missing" in stream.getvalue()


async def test_an_answer_to_another_message_is_pointed_out(tmp_path: Path) -> None:
    """Invariant 9: matched by control id, never by turn."""
    file = tmp_path / "one.hl7"
    file.write_bytes(ONE)
    async with peer(lambda message: ack(message, control_id="OTHER")) as port:
        (answer,) = (await send(file, "127.0.0.1", port, 5)).answers
    assert "answers another message" in answer.meaning


@pytest.mark.parametrize(("said", "meaning"), [(None, "no answer came"), (b"hello", "no acknowledgement")])
async def test_no_answer_is_not_taken_for_a_refusal(tmp_path: Path, said: bytes | None, meaning: str) -> None:
    file = tmp_path / "one.hl7"
    file.write_bytes(ONE)
    async with peer(lambda _: said) as port:
        view = await send(file, "127.0.0.1", port, 5)
    assert not view.ok
    assert meaning in view.answers[0].meaning


async def test_faults_before_sending_are_one_sentence(tmp_path: Path, closed_port: int) -> None:
    with pytest.raises(UserError, match=r"No such file"):
        await send(tmp_path / "missing.hl7", "127.0.0.1", closed_port, 1)
    (tmp_path / "empty.hl7").write_bytes(b"\n")
    with pytest.raises(UserError, match="no message in it"):
        await send(tmp_path / "empty.hl7", "127.0.0.1", closed_port, 1)
    (tmp_path / "one.hl7").write_bytes(ONE)
    with pytest.raises(UserError, match="nobody answers there"):
        await send(tmp_path / "one.hl7", "127.0.0.1", closed_port, 1)


def test_frames_marks_and_line_ends_of_captures_are_understood() -> None:
    framed = b"\xef\xbb\xbf\x0b" + ONE + b"\x1c\r\x0b" + TWO + b"\x1c\r"
    assert [message.split(b"|")[9] for message in messages_of(framed)] == [b"ID1", b"ID2"]
    assert all(message.endswith(b"\r") and b"\n" not in message for message in messages_of(framed))
