"""A site with every way in and out, partners that give away what they were told, and everything that can be seen
of it from outside, collected."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import secrets
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pika
import structlog
from aiohttp import web

from app import command_line
from canonical.entities import AnyEntity
from canonical.event import Event
from canonical.findings import Rejection
from connectors.base import Dispatch
from console import frame
from router.engine import Role
from router.translate import Translation, Translator
from store.ledger import Ledger
from store.records import Delivery, Message, MessageQuery
from tests.security.canaries import message
from wiring import assembly as assemblies
from wiring import database, logs, running
from wiring.demo.stage import ROOT, free_ports

QUOTE: Final = "Quokka Zebulonia CNRYX1, born 19310417, 7 Axolotlgasse, 7430918: narwhalnote"
#: How a partner answers, by the patient's name.
MANNERS: Final = ("rejected", "unknown", "garbage", "wrongid")

SITE: Final = """\
site: canaries
mappings: {mappings}
partitions: 2
metrics_port: {metrics}
broker: {{prefix: {prefix}}}
channels:
  mllp:
    connector: mllp
    site: mercy
    mapping: {{SIU: hl7v2/siu, ADT: hl7v2/adt}}
    accepts: [SIU, ADT]
    settings: {{port: {mllp}, max_bytes: 4096, ack_mode: {ack_mode}}}
  web:
    connector: http
    site: mercy
    mapping: {{SIU: hl7v2/siu}}
    accepts: [SIU]
    settings: {{port: {web}, path: /in, max_bytes: 4096}}
  resources:
    connector: http
    mapping: fhir/appointment
    settings: {{port: {resources}, path: /fhir}}
  drop:
    connector: file
    site: mercy
    mapping: {{SIU: hl7v2/siu}}
    accepts: [SIU]
    settings: {{path: {drop}, pattern: "*.hl7", stable_s: 0, poll_s: 0.05, max_bytes: 4096}}
destinations:
  scheduler:
    connector: fhir
    mapping: {{appointment: fhir/scheduling, patient: fhir/patient}}
    content: state
    idempotent: yes
    settings: {{url: "http://127.0.0.1:{http}/fhir"}}
    retry: {{first_s: 0.05, max_s: 0.1, attempts: 2}}
  harbor:
    connector: mllp
    mapping: {{appointment: hl7v2/siu, patient: hl7v2/adt}}
    settings: {{port: {peer}, ack_timeout_s: 0.5}}
    retry: {{first_s: 0.05, max_s: 0.1, attempts: 2}}
    context: {{sending_application: D, sending_facility: H, receiving_application: R, receiving_facility: F,
      processing_id: P}}
  staffing:
    connector: http
    mapping: erp/staffing_demand
    content: state
    settings: {{url: "http://127.0.0.1:{http}/erp"}}
    retry: {{first_s: 0.05, max_s: 0.1, attempts: 2}}
routes:
  - {{route: all, to: [scheduler, harbor]}}
  - {{route: appointments, when: {{entity: Appointment}}, to: [staffing]}}
scorers:
  no_show: {{default: 0.1, deadline_ms: 50}}
"""


class Boom(Translator):
    """The site's translator with a defect that quotes what it was working on."""

    def __init__(self, inner: Translator) -> None:
        self._inner = inner

    def read(self, message: Message) -> Translation:
        if b"Quokkareadbug" in message.raw.reveal():
            raise RuntimeError(f"cannot read {QUOTE}")
        return self._inner.read(message)

    def write(self, delivery: Delivery, event: Event, state: AnyEntity | None) -> Dispatch:
        dispatch = self._inner.write(delivery, event, state)
        if b"Quokkawritebug" in dispatch.body.reveal():
            raise KeyError(QUOTE)
        return dispatch


class Gossip:
    """A scorer that fails with the patient in the text of its exception."""

    name, version = "no_show", "1"

    async def score(self, event: Event, state: AnyEntity) -> float:
        raise ValueError(QUOTE)


class Partners:
    """An HL7 system and an HTTP server on loopback that quote patients in every answer that is not *yes*."""

    def __init__(self) -> None:
        self.hl7_port = self.http_port = 0
        self.manners: set[tuple[str, str]] = set()
        """(who, manner) of every answer that was not yes."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Partners]:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._http)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        hl7 = await asyncio.start_server(self._hl7, "127.0.0.1", 0)
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.http_port = urlsplit(site.name).port or runner.addresses[0][1]
            self.hl7_port = hl7.sockets[0].getsockname()[1]
            yield self
        finally:
            hl7.close()
            await runner.cleanup()

    def _manner(self, who: str, body: bytes) -> str:
        manner = next((one for one in MANNERS if f"Quokka{one}".encode() in body), "")
        if manner:
            self.manners.add((who, manner))
        return manner

    async def _hl7(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                frame_ = await reader.readuntil(b"\x1c\r")
                control_id = frame_.split(b"|")[9].decode()
                manner = self._manner("harbor", frame_)
                if manner == "unknown":
                    break
                code, answered = ("AE" if manner == "rejected" else "AA"), control_id
                if manner == "wrongid":
                    answered = QUOTE
                ack = (f"MSH|^~\\&|R|F|D|H|20260302||ACK^S12|1|P|2.5.1\rMSA|{code}|{answered}|{QUOTE}\r"
                       f"ERR||PID^1^5|101^{QUOTE}|E|{QUOTE}||{QUOTE}|{QUOTE}\r")
                if manner == "garbage":
                    ack = f"{QUOTE} was here\r"
                writer.write(b"\x0b" + ack.encode() + b"\x1c\r")
                await writer.drain()
        writer.close()

    async def _http(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        who = "staffing" if request.path.startswith("/erp") else "scheduler"
        manner = self._manner(who, body)
        quote = {"X-Patient": QUOTE, "Location": f"/Patient/{QUOTE.replace(' ', '%20')}", "ETag": f'"{QUOTE}"'}
        if manner == "unknown" and request.transport is not None:
            request.transport.abort()
        if manner == "garbage":
            return web.Response(status=400, body=QUOTE, reason=QUOTE, headers={**quote, "Retry-After": QUOTE})
        if manner:
            return web.json_response(status=422, reason=QUOTE, headers=quote, data={
                "resourceType": "OperationOutcome", "text": {"div": QUOTE},
                "issue": [{"severity": "error", "code": "invalid", "diagnostics": QUOTE,
                           "details": {"text": QUOTE}, "expression": [QUOTE, "Quokka.zebulonia"]}]})
        return web.json_response({"resourceType": "Bundle", "type": "transaction-response", "entry": []})


@asynccontextmanager
async def wiretap(url: str, tape: bytearray) -> AsyncIterator[str]:
    """A broker's address through which everything that is said both ways is put on tape."""
    broker = urlsplit(url)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                tape.extend(data)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(broker.hostname, broker.port)
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield broker._replace(netloc=f"{broker.username}:{broker.password}@127.0.0.1:{port}").geturl()
    finally:
        server.close()


class Evidence(msgspec.Struct):
    """What could be seen of the site, by surface, and what happened in it."""

    seen: dict[str, bytes] = {}
    states: dict[str, tuple[str, str]] = {}
    """(state, reason) of each message, by control id."""
    deliveries: set[tuple[str, str, str]] = set()
    """(destination, state, reason)"""
    manners: set[tuple[str, str]] = set()

    def add(self, surface: str, what: bytes | str) -> None:
        """One more piece of a surface."""
        raw = what.encode("utf-8", "surrogateescape") if isinstance(what, str) else what
        self.seen[surface] = self.seen.get(surface, b"") + raw + b"\n"


#: What is sent, by scenario; the name is the control id.
MESSAGES: Final[dict[str, bytes]] = {
    "GOOD": message("good", control_id="GOOD"),
    "REJECTED": message("rejected", control_id="REJECTED"),
    "UNKNOWN": message("unknown", control_id="UNKNOWN"),
    "GARBAGE": message("garbage", control_id="GARBAGE"),
    "WRONGID": message("wrongid", control_id="WRONGID"),
    "READBUG": message("readbug", control_id="READBUG"),
    "WRITEBUG": message("writebug", control_id="WRITEBUG"),
    "UNMAPPED": message("unmapped", control_id="UNMAPPED", status="QUOKKASTATUS^Quokka Zebulonia"),
    "BADTIME": message("badtime", control_id="BADTIME", start="QUOKKATIME"),
    "BADTYPE": message("badtype", control_id="BADTYPE", trigger="SIU^S99"),
    "BROKEN": message("broken", control_id="BROKEN").replace(b"SCH|", b"QUOKKASCH|"),
    "STRAY": message("stray", control_id="STRAY", more="Quokka Zebulonia\rCNRYX|7430918\r"),
    "UNWRITABLE": message("unwritable", control_id="UNWRITABLE", name="Quokka\\X20AC\\\\.br\\unwritable"),
    "TEST": message("test", control_id="TEST", processing_id="T"),
    "DEBUG": message("debug", control_id="DEBUG", processing_id="D"),
    "WRONGTYPE": message("wrongtype", control_id="WRONGTYPE", trigger="ORU^R01"),
    "CHARSET": message("charset", control_id="CHARSET").replace(b"|2.5.1\r", b"|2.5.1||||||XENO\r", 1),
    "LATIN": message("latin", control_id="LATIN", name="Quokka\xe9\xe8").replace("\xe9".encode(), b"\xe9"),
}
NO_CONTROL_ID: Final = message("nocontrol", control_id="-").replace(b"|-|P|", b"||P|")
NO_HEADER: Final = message("noheader").partition(b"\r")[2]
OVERSIZE: Final = message("oversize", control_id="OVERSIZE", more="NTE|2||Quokka Zebulonia\r" * 400)
RESOURCES: Final = (
    b'{"resourceType": "Appointment", "identifier": [{"value": "CNRYX1"}], "status": "quokka", "unheard": "quokka"}',
    b'{"resourceType": "Quokka", "unheard": {"of": "7430918"}}',
    b'{"resourceType": "Appointment", "start": "19310417quokka", "status": "booked", "participant": "Quokka"}',
    b'{"Quokka": "Zebulonia", ',
    b'["Quokka"]',
)


async def _mllp(port: int, messages: Sequence[bytes]) -> bytes:
    """Answers to messages, each over a connection of its own."""
    heard = b""
    for one in messages:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x0b" + one + b"\x1c\r")
        with contextlib.suppress(TimeoutError, ConnectionError):
            heard += await asyncio.wait_for(reader.read(65536), 0.5)
        writer.close()
    return heard


async def _post(url: str, body: bytes, content_type: str, **headers: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.post(
            url, data=body, headers={"Content-Type": content_type, **headers}) as answer:
        head = "\n".join(f"{key}: {value}" for key, value in answer.headers.items())
        return f"{answer.status} {answer.reason}\n{head}\n".encode() + await answer.read()


async def _feed(ports: dict[str, int], drop: Path, evidence: Evidence) -> None:
    """Everything, over every channel."""
    good = list(MESSAGES.values())
    broken = [NO_CONTROL_ID, NO_HEADER, OVERSIZE]
    evidence.add("answers", await _mllp(ports["mllp"], [*good, MESSAGES["GOOD"], *broken]))
    reader, writer = await asyncio.open_connection("127.0.0.1", ports["mllp"])
    writer.write(b"Quokka between frames\x0b" + MESSAGES["GOOD"][:300])
    writer.close()
    base = f"http://127.0.0.1:{ports['web']}"
    for one in [*good, MESSAGES["GOOD"], *broken]:
        evidence.add("answers", await _post(f"{base}/in", one, "application/hl7-v2"))
    for path, kind in (("/Quokka?name=Zebulonia", "application/hl7-v2"), ("/in", "text/Quokka"),
                       ("/in?Quokka=1", "application/hl7-v2")):
        evidence.add("answers", await _post(base + path, MESSAGES["GOOD"], kind, Authorization="Bearer Quokka",
                                            Cookie="patient=Quokka"))
    reader, writer = await asyncio.open_connection("127.0.0.1", ports["web"])
    writer.write(b"QUOKKA /in ZEBULONIA\r\nHost\x00: cnryx\r\n\r\nQuokka")
    evidence.add("answers", await reader.read(65536))
    writer.close()
    for one in RESOURCES:
        evidence.add("answers", await _post(f"http://127.0.0.1:{ports['resources']}/fhir", one,
                                            "application/fhir+json"))
    for number, one in enumerate([*good, MESSAGES["GOOD"], *broken, b"\r".join([*good, NO_HEADER])]):
        (drop / f"{number}.tmp").write_bytes(one)
        (drop / f"{number}.tmp").rename(drop / f"{number}.hl7")


async def _settled(ledger: Ledger, drop: Path) -> None:
    """Until only people could go on, or nobody: a defect's victims stay where they are."""
    before: Any = None
    quiet = 0
    async with asyncio.timeout(60):
        while quiet < 8:
            now = await ledger.counts()
            waiting = any(key.endswith(("/inflight",)) and n for key, n in now["deliveries"].items())
            left = [*drop.glob("*.hl7"), *(drop / ".work").glob("*")]
            quiet = quiet + 1 if now == before and not waiting and not left else 0
            before = now
            await asyncio.sleep(0.25)


async def _findings(ledger: Ledger, translator: Translator, evidence: Evidence) -> None:
    stored = await ledger.find(MessageQuery(limit=10_000))
    deliveries = await ledger.deliveries([one.seq for one in stored])
    attempts = await ledger.attempts([one.id for one in deliveries])
    for one in stored:
        evidence.states[f"{one.channel} {one.control_id}"] = (one.state.value, one.reason)
        evidence.add("findings", f"{one.reason} {one.ack_code} {msgspec.json.encode(one.findings).decode()}")
        evidence.add("records", repr(one))
        try:
            translator.read(one)
        except Rejection as rejection:
            evidence.add("exceptions", "".join(traceback.format_exception(rejection)))
    for delivery in deliveries:
        evidence.deliveries.add((delivery.destination, delivery.state.value, delivery.reason))
        evidence.add("records", repr(delivery))
        evidence.add("findings", f"{delivery.reason} {delivery.code}")
    for attempt in attempts:
        evidence.add("records", repr(attempt))
        evidence.add("findings", f"{attempt.code} {msgspec.json.encode(attempt.finding).decode()}")
    for event in await ledger.events_of([one.id for one in stored]):
        evidence.add("records", repr(event))
    for decision in await ledger.decisions([e.id for e in await ledger.events_of([one.id for one in stored])]):
        evidence.add("records", repr(decision))


async def _run(config: Path, drop: Path, ports: dict[str, int], url: str, evidence: Evidence) -> None:
    made = assemblies.assemble(config)
    site = msgspec.structs.replace(made, translator=Boom(made.translator))
    tape = bytearray()
    async with wiretap(url, tape) as tapped:
        environment = {running.BROKER_VARIABLE: tapped}
        desk = database.existing(config, database.address(config, {}), partitions=2, outbox=False)
        async with running.running(site, Role.ALL, environment), desk as ledger:
            await _feed(ports, drop, evidence)
            await _settled(ledger, drop)
            async with aiohttp.ClientSession() as session, session.get(
                    f"http://127.0.0.1:{ports['metrics']}/metrics") as page:
                evidence.add("metrics", await page.read())
            await _findings(ledger, made.translator, evidence)
    evidence.add("broker", bytes(tape))
    for beside in (drop / "failed").glob("*.finding.json"):
        evidence.add("files beside", beside.read_bytes())


def _typed(config: Path, *arguments: str) -> str:
    """What a command prints."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        frame.run(command_line(), [*arguments, "--config", str(config)])
    return f"$ dragoman {' '.join(arguments)}\n{out.getvalue()}{err.getvalue()}"


def _commands(config: Path, evidence: Evidence) -> None:
    listed = json.loads(_typed(config, "messages", "--json", "--limit", "10000").partition("\n")[2])
    for arguments in (
            ["messages", "--limit", "1000"], ["parked"], ["messages", "--held"], ["audit", "list"],
            *[["replay", "--channel", name] for name in ("mllp", "web", "resources", "drop")],
            *[["replay", "--destination", name] for name in ("scheduler", "harbor", "staffing")],
            ["replay", "--destination", "harbor", "--resend"]):
        for form in ([], ["--json"]):
            evidence.add(f"dragoman {arguments[0]}", _typed(config, *arguments, *form))
    # One message of each fate: each is traced again with its tables, which takes its time.
    fates = {(row["state"], row["reason"], row["control_id"] in {"STRAY", "REJECTED"}): row["id"]
             for row in listed["messages"]}
    for number, message_id in enumerate(fates.values()):
        evidence.add("dragoman show", _typed(config, "show", message_id, "--lineage", *["--json"][:number % 2]))
    for channel in ("mllp", "drop"):
        evidence.add("dragoman replay", _typed(config, "replay", "--channel", channel, "--yes", "--reason", "mended"))
    evidence.add("dragoman audit", _typed(config, "audit", "list", "--json"))


def collect(folder: Path, rabbitmq_url: str) -> Evidence:
    """Run the site, send everything to it, and collect what can be seen."""
    evidence = Evidence()
    prefix = f"canary-{secrets.token_hex(4)}"
    drop, config = folder / "drop", folder / "config"
    drop.mkdir()
    config.mkdir()
    stream = io.StringIO()
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level

    async def everything() -> None:
        logs.configure(stream, logging.DEBUG)
        root = logging.getLogger()
        root.setLevel(logging.DEBUG)
        for handler in root.handlers:
            handler.setLevel(logging.DEBUG)
        names = ("mllp", "web", "resources", "metrics")
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        async with Partners().serving() as partners:
            (config / "site.yaml").write_text(SITE.format(
                mappings=ROOT / "mappings", drop=drop, prefix=prefix, peer=partners.hl7_port,
                http=partners.http_port, ack_mode="header", **ports), encoding="utf-8")
            await _run(config, drop, ports, rabbitmq_url, evidence)
            evidence.manners = partners.manners

    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq_url))
    channel = connection.channel()
    channel.exchange_declare(f"{prefix}.events", "topic", durable=True)
    channel.queue_declare(f"{prefix}.ours")
    channel.queue_bind(f"{prefix}.ours", f"{prefix}.events", "#")
    try:
        with patch("wiring.running.scorers", lambda: {"no_show": Gossip()}):
            asyncio.run(everything(), debug=True)
        _commands(config, evidence)
        while (got := channel.basic_get(f"{prefix}.ours", auto_ack=True))[0] is not None:
            evidence.add("events", f"{got[0].routing_key} {got[1]}".encode() + (got[2] or b""))
    finally:
        for queue in (f"{prefix}.ours", f"{prefix}.workers", f"{prefix}.partition.0", f"{prefix}.partition.1"):
            channel.queue_delete(queue)
        channel.exchange_delete(f"{prefix}.events")
        channel.exchange_delete(f"{prefix}.pressure")
        connection.close()
        evidence.add("log", stream.getvalue())
        logging.getLogger().handlers[:] = handlers
        logging.getLogger().setLevel(level)
        structlog.reset_defaults()
    return evidence
