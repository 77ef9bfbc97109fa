"""A whole process, from site.yaml: what the wire half remembers over a restart, and what it says by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

from connectors.hl7v2.er7 import parse
from connectors.hl7v2.receiver import MllpReceiver
from connectors.hl7v2.settings import MllpIn
from router.engine import Role
from store.records import MessageQuery
from tests.conformance.door import Door
from tests.hl7v2.messages import siu
from tests.hl7v2.mllp import raw_client
from tests.hl7v2.test_continuation import part
from tests.hl7v2.test_sequence import numbered, told
from tests.mappings.tables import MAPPINGS
from wiring.assembly import assemble
from wiring.demo.stage import free_ports
from wiring.running import running

SITE = """
site: restarts
mappings: {mappings}
partitions: 1
channels:
  numbered:
    connector: mllp
    mapping: hl7v2/siu
    settings: {{port: {one}, sequence: true}}
  parts:
    connector: mllp
    mapping: {{SIU: hl7v2/siu, MDM: hl7v2/mdm}}
    settings: {{port: {two}, application_ack: {{port: {back}, ack_timeout_s: 2}}}}
"""


async def test_a_restart_keeps_numbers_parts_and_acknowledgements_that_are_owed(tmp_path: Path) -> None:
    """S04, K01, A02: all of it from the ledger, with nothing but the configuration."""
    peer = Door()
    one, two, three = free_ports(3)
    config, environment = tmp_path / "config", {"DRAGOMAN_DATABASE": f"sqlite:///{tmp_path}/ledger.sqlite3"}
    config.mkdir()
    (config / "site.yaml").write_text(SITE.format(mappings=MAPPINGS, one=one, two=two, back=three),
                                      encoding="utf-8")
    first = part("P1", "EVN||20260310\rPID|1||77^^^MERCY^MR\rTXA|1|CN|TX||||||||||D1^X\rOBX|1|TX|||One, ", continued="A")
    async with running(assemble(config), Role.ALL, environment):
        async with raw_client(one) as client:
            assert await told(client, numbered(7, "N7")) == ("AA", "7")
        async with raw_client(two) as client:
            await client.send(first)
            assert b"MSA|AA|P1" in await client.answer()
            await client.send(siu("E1", accept="AL", application="AL"))
            assert b"MSA|CA|E1" in await client.answer()
    back = MllpReceiver("ehr", MllpIn(port=three), peer.accept, peer.report)  # it was not there before
    await back.start()
    async with running(assemble(config), Role.ALL, environment) as engine:
        async with raw_client(one) as client:
            assert await told(client, numbered(0, "Q")) == ("AA", "8")
        async with raw_client(two) as client:
            await client.send(part("P2", "ADD|two.", continues="A"))
            assert b"MSA|AA|P2" in await client.answer()
        async with asyncio.timeout(20):
            while not peer.accepted:
                await asyncio.sleep(0.05)
        joined = [message for message in await engine._ledger.find(MessageQuery()) if message.parent_id]
    await back.stop(1.0)
    [whole] = joined
    note = parse(whole.raw.reveal()).first("OBX")
    assert note is not None
    assert note.field(5) == "One, two."
    assert b"MSA|AA|E1" in peer.accepted[0]

