"""A whole site that is told things by ADT and SIU and is asked about them by QBP and SQM."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from canonical.findings import Rejection
from connectors.hl7v2 import er7
from router.engine import Role
from tests.hl7v2.mllp import raw_client
from tests.mappings.tables import MAPPINGS
from wiring.assembly import assemble
from wiring.running import running

SITE = """
site: test
mappings: {mappings}
partitions: 2
channels:
  hub:
    connector: mllp
    mapping: {{ADT: hl7v2/adt, SIU: hl7v2/siu, QBP^Q22: hl7v2/qbp_q22, SQM: hl7v2/sqm, MFN^M02: hl7v2/mfn_staff}}
    answers:
      QBP^Q22: {{write: hl7v2/rsp_k22}}
      SQM: {{write: hl7v2/sqr}}
      MFN: {{read: hl7v2/mfn_records, write: hl7v2/mfk}}
    settings: {{port: {port}}}
"""
MSH = "MSH|^~\\&|EHR|EAST|DRAGOMAN|HUB|20260310120000-0500||{}|{}|P|2.5.1\r"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def site(folder: Path, text: str = SITE, port: int = 0) -> Path:
    (folder / "site.yaml").write_text(text.format(mappings=MAPPINGS, port=port))
    return folder


async def test_what_was_told_is_what_is_answered(tmp_path: Path) -> None:
    """QBP^Q22 and SQM^S25 after A28 and S12; the question is a message of its own, filtered and not lost."""
    port = free_port()
    assembly = assemble(site(tmp_path, port=port), compiled=False)
    database = {"DRAGOMAN_DATABASE": f"sqlite:///{tmp_path / 'ledger.sqlite3'}"}
    async with running(assembly, Role.ALL, database), raw_client(port) as client:

        async def say(kind: str, number: str, *lines: str) -> er7.Message:
            await client.send((MSH.format(kind, number) + "\r".join((*lines, ""))).encode())
            return er7.parse(await client.answer())

        await say("ADT^A28^ADT_A05", "1", "EVN||20260310120000-0500", "PID|1||123^^^MERCY^MR||Nowak^Anna||19800229|F")
        await say("SIU^S12^SIU_S12", "2", "SCH||V-1^MERCY|||||||30|min", "TQ1|1||||||20260401090000-0500",
                  "PID|1||123^^^MERCY^MR", "RGS|1", "AIP|1||DR1^Okafor")
        async with asyncio.timeout(20):
            while True:
                answer = await say("QBP^Q22^QBP_Q21", "3", "QPD|Q22|T|@PID.5.1^nowak", "RCP|I")
                booked = await say("SQM^S25^SQM_S25", "4", "QRD|20260310|R|I|S-1|||10^RD||SAL", "ARQ|",
                                   "RGS|1", "AIP|1||DR1")
                if answer.first("PID") is not None and booked.first("SCH") is not None:
                    break
                await asyncio.sleep(0.1)
        assert [segment.field(5) for segment in answer.all("PID")] == ["Nowak^Anna"]
        assert [segment.field(2) for segment in booked.all("SCH")] == ["V-1^MERCY"]
        master = await say("MFN^M02^MFN_M02", "5", "MFI|PRA||UPD|||AL", "MFE|MAD|R1||D1|CE", "STF|D1||Okafor^Ada")
        assert [segment.field(1) for segment in master.all("MFA")] == ["MAD"]


def test_a_site_whose_connector_cannot_answer_does_not_start(tmp_path: Path) -> None:
    text = SITE.replace("connector: mllp", "connector: file").replace("{{port: {port}}}", "{{folder: in}}")
    with pytest.raises(Rejection) as refused:
        assemble(site(tmp_path, text), compiled=False)
    assert "config.cannot_answer" in {found.code for found in refused.value.findings}


def test_an_answer_needs_a_table_that_exists(tmp_path: Path) -> None:
    with pytest.raises(Rejection) as refused:
        assemble(site(tmp_path, SITE.replace("hl7v2/rsp_k22", "hl7v2/rsp_k99")), compiled=False)
    assert "config.unknown_reference" in {found.code for found in refused.value.findings}
