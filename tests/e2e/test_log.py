"""What the log of a running engine tells an operator."""

from __future__ import annotations

import json

from tests.e2e.harness import engine
from wiring.demo.stage import Stage


async def test_the_log_names_every_port_that_is_listened_on(stage: Stage) -> None:
    async with engine(stage):
        entries = [json.loads(line) for line in stage.log.read_text(encoding="utf-8").splitlines()]
    listening = {entry["channel"]: entry["resource"] for entry in entries if entry["event"] == "listening"}
    assert listening == {name: f"tcp:127.0.0.1:{stage.ports[name]}" for name in ("mercy", "lakeside")}
