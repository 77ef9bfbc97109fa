"""A benchmark that cannot find a fault proves nothing: the sinks notice each one."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.message import EXPECTED, TEN, siu, token
from bench.parse import subjects
from bench.processes import Helper, helper, load
from bench.sinks import Memory

A1, A2, B1 = token(1, 1), token(1, 2), token(2, 1)


def test_a_clean_run_has_no_faults() -> None:
    memory = Memory()
    for identity, body in ((b"1", A1), (b"2", B1), (b"3", A2)):
        memory.saw(identity, body)
    assert memory.verdict({A1, A2, B1}) == {"delivered": 3, "missing": 0, "second_effects": 0, "disordered": 0,
                                            "repeated": 0, "unknown": 0, "unacknowledged": 0}


@pytest.mark.parametrize(("fault", "deliveries"), [
    ("missing", [(b"1", A1)]),
    ("second_effects", [(b"1", A1), (b"2", A2), (b"3", A2)]),
    ("disordered", [(b"1", A2), (b"2", A1)]),
    ("unknown", [(b"1", A1), (b"2", A2), (b"3", b"no token")]),
    ("unknown", [(b"1", A1), (b"2", A2), (b"", A2)]),
    ("unacknowledged", [(b"1", A1), (b"2", A2), (b"3", B1)]),
])
def test_a_fault_is_counted(fault: str, deliveries: list[tuple[bytes, bytes]]) -> None:
    memory = Memory()
    for identity, body in deliveries:
        memory.saw(identity, body)
    assert memory.verdict({A1, A2})[fault] == 1


def test_the_same_identity_again_is_a_repetition_not_an_effect() -> None:
    memory = Memory()
    memory.saw(b"1", A1)
    memory.saw(b"1", A1)
    verdict = memory.verdict({A1})
    assert (verdict["repeated"], verdict["second_effects"], verdict["disordered"]) == (1, 0, 0)


@pytest.fixture
def sinks() -> Iterator[Helper]:
    with helper(sys.executable, "-m", "bench.sinks") as process:
        yield process


def test_what_the_load_has_an_acknowledgement_for_is_what_the_sink_saw(sinks: Helper, tmp_path: Path) -> None:
    acknowledged = tmp_path / "acknowledged"
    sent = load(sinks.ready["mllp"], 4, 5.0, 0.0, messages=200, acknowledged=acknowledged)
    assert (sent["acknowledged"], sent["refused"], sent["lost"]) == (200, 0, 0)
    verdict = sinks.ask(f"verdict {acknowledged}")
    assert verdict["mllp"]["delivered"] == 200
    assert verdict["mllp"]["missing"] == verdict["mllp"]["disordered"] == 0
    assert verdict["http"]["missing"] == 200


def test_the_http_sink_reads_requests_however_they_are_cut(sinks: Helper) -> None:
    request = (b"POST / HTTP/1.1\r\nHost: x\r\nIdempotency-Key: %b\r\ncontent-length: 16\r\n\r\n%b")
    whole = request % (b"one", A1) + request % (b"two", A2)
    with socket.create_connection(("127.0.0.1", sinks.ready["http"]), timeout=10) as client:
        for at in range(0, len(whole), 7):
            client.sendall(whole[at:at + 7])
        answers = b""
        while answers.count(b"201 Created") < 2:
            answers += client.recv(4096)
    assert sinks.ask("count")["http"] == 2


def test_every_parser_of_the_benchmark_reads_the_ten_fields() -> None:
    assert {name: call() for name, call in subjects(siu()).items()} == dict.fromkeys(subjects(siu()), EXPECTED)
    assert len(TEN) == len(EXPECTED) == 10


def test_messages_differ_in_what_identifies_them_and_keep_their_size() -> None:
    one, other = siu(b"1" * 17, 1, 1), siu(b"2" * 17, 2, 2)
    assert abs(len(one) - len(other)) < 10
    assert 1200 < len(one) < 1450
    assert not re.search(rb"\{[a-z]+\}", one)
    assert one.count(A1) == 1
    assert json.dumps(one.decode())
