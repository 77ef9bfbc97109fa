from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any, cast

import pytest

from console import cli, frame
from console.house import House
from tests.console.world import World


@pytest.fixture
def world() -> World:
    return World()


class Said:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def dragoman(world: World, capsys: pytest.CaptureFixture[str],
             monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Run one command line against the small world."""
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str) -> Said:
        code = frame.run(cli.build(cast("House", world)), arguments)
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return run


@pytest.fixture
def closed_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
