"""The command line beside a running engine, and partners that misbehave."""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path

import aiohttp
import pytest

from simulators.ehr import Ehr, feed
from simulators.faults import Plan
from tests.e2e.harness import Partners, engine, everything_arrived, ledger, settled, typed, until
from wiring.demo.script import write
from wiring.demo.stage import Stage, free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

BOOKING = (b"MSH|^~\\&|MERCYSCHED|MERCY|DRAGOMAN|HUB|20260302080000-0500||SIU^S12^SIU_S12|%b|%b|2.5.1\r"
           b"SCH|W-1^MERCYWEB|MA-1^MERCY^2.999.20.2^ISO|||||FOLLOWUP^Follow-up^HL70276|ECG^Electrocardiogram^MERCY"
           b"|30|min|||||||||||||||CONF\r"
           b"TQ1|1||||||20260310143000-0400|20260310150000-0400\r"
           b"PID|1||MH1^^^MERCY&2.999.20.1&ISO^MR||Ashby^Nora\r"
           b"RGS|1\rAIL|1||HEART^1^^MERCY\r")


async def test_an_analyst_sends_a_message_and_a_support_person_follows_it(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "booking.hl7"
    file.write_bytes(BOOKING % (b"HAND1", b"P"))
    config = ("--config", str(stage.config))
    async with Partners(stage) as partners, engine(stage), ledger(stage) as opened:
        said = await typed("send", str(file), f"127.0.0.1:{stage.ports['mercy']}", "--json")
        assert said.code == 0, said.out + said.err
        assert [one["code"] for one in said.json["answers"]] == ["AA"]
        await settled(opened, 1)
        shown = (await typed("show", "HAND1", *config, "--json")).json
        assert shown["message"]["ack"] == "AA"
        (event,) = shown["events"]
        assert event["type"] == "appointment.booked"
        assert event["decisions"][0]["body"]["to"] == ["scheduler", "harbor", "staffing"]
        assert {one["destination"]: one["state"] for one in event["deliveries"]} == {
            "scheduler": "delivered", "harbor": "delivered", "staffing": "delivered"}
        rows = {row["field"]: row for row in shown["lineage"]["rows"]}
        assert rows["start"]["source"] == "TQ1-7"
        assert rows["start"]["row"].startswith("hl7v2/siu.yaml:")
        assert rows["status"]["code_row"].startswith("sites/mercy/vocab/filler_status.yaml:")
        assert {row["value"] for row in rows.values()} == {"‹phi›"}
        other = tmp_path / "test.hl7"
        other.write_bytes(BOOKING % (b"TEST1", b"T"))
        said = await typed("send", str(other), f"127.0.0.1:{stage.ports['mercy']}", "--json")
        assert said.code == 1, "A10: a message for another environment is refused, and kept for people to see"
        (answer,) = said.json["answers"]
        assert (answer["code"], answer["complaints"][0]["code"]) == ("AR", "202")
        rows = (await typed("messages", *config, "--state", "refused", "--json")).json
        assert [row["control_id"] for row in rows["messages"]] == ["TEST1"]
        again = await typed("send", str(file), f"127.0.0.1:{stage.ports['mercy']}", "--json")
        assert again.json["answers"][0]["code"] == "AA", "a duplicate gets the stored acknowledgement"
        await settled(opened, 1)
        assert (await opened.counts())["messages"] == {"processed": 1, "refused": 1}
        await everything_arrived(opened, ["HAND1"], partners)


async def test_partners_that_fail_in_every_way_get_everything_once_in_order(stage: Stage) -> None:
    """Invariants 4, 8, 10: each partner knows a repetition by its identity, and each misbehaves."""
    plans = {"scheduler": Plan("503 at 3", "lost at 7", "429:1 at 11", "500 at 17"),
             "harbor": Plan("lost at 5", "close at 9", "ar:207 at 13", "partial at 21", "wrong-id at 29"),
             "staffing": Plan("lost at 2", "503 at 4", "late:0.5 at 8")}
    site = stage.config / "site.yaml"
    text = site.read_text(encoding="utf-8")
    # Nobody waits half a minute for an answer that does not come.
    site.write_text(text.replace("{host: 127.0.0.1, port:", "{host: 127.0.0.1, ack_timeout_s: 1, port:"),
                    encoding="utf-8")
    messages = write(60)
    good = [one for one in messages.mercy if one.lane not in {messages.broken.lane, messages.unmapped.lane}]
    async with Partners(stage, **plans) as partners, engine(stage), ledger(stage) as opened:
        tallies = await asyncio.gather(feed(good, "127.0.0.1", stage.ports["mercy"], connections=4),
                                       feed(messages.lakeside, "127.0.0.1", stage.ports["lakeside"],
                                            connections=4))
        acknowledged = [one for tally in tallies for one in tally.acknowledged]
        assert len(acknowledged) == len(good) + 60
        await settled(opened, len(acknowledged))
        assert min(partners.fhir.plan.faults, partners.harbor.plan.faults, partners.erp.plan.faults) >= 3
        await everything_arrived(opened, acknowledged, partners)


async def test_one_dead_destination_delays_nobody_else(stage: Stage) -> None:
    """Invariant 10; `parked` shows nothing, because nobody needs to act; the metrics show what waits, and where."""
    (port,) = free_ports(1)
    site = stage.config / "site.yaml"
    site.write_text(f"{site.read_text(encoding='utf-8')}\nmetrics_port: {port}\n", encoding="utf-8")
    async with Partners(stage, harbor=Plan("close always")) as partners, engine(stage), ledger(stage) as opened:
        tally = await feed(islice(Ehr("lakeside", seed=5).histories(wave=10), 30), "127.0.0.1",
                           stage.ports["lakeside"])
        assert tally.accepted == 30

        async def others_have_it() -> bool:
            counts = await opened.counts()
            waiting = {key.partition("/")[0] for key, count in counts["deliveries"].items()
                       if count and key.partition("/")[2] in {"pending", "inflight"}}
            return not counts["messages"].get("received") and waiting == {"harbor"}

        await until(others_have_it)
        assert (await typed("parked", "--config", str(stage.config))).code == 0
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            metrics = await answer.text()
        assert 'dragoman_messages{state="processed"} 30.0' in metrics
        assert 'dragoman_deliveries{destination="harbor",state="pending"}' in metrics
        partners.harbor.plan.replace()
        await settled(opened, 30)
        await everything_arrived(opened, tally.acknowledged, partners)
