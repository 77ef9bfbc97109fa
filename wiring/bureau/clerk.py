"""``python -m wiring.bureau.clerk``: reads requests from standard input, writes answers to standard output.

Ends when its input ends, which is when the engine stops, however it stops.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import BinaryIO, TypeVar

import msgspec

from canonical.findings import Rejection
from canonical.phi import Phi
from router.translate import place_of
from store.records import Delivery, Message
from wiring.assembly import assembled
from wiring.bureau.letters import (
    HEAD,
    Answer,
    Broken,
    Incoming,
    Opening,
    Outgoing,
    ReadDone,
    Refused,
    Request,
    Result,
    ToRead,
    WriteDone,
    length,
    sealed,
)
from wiring.collector import spare_the_collector
from wiring.translator import SiteTranslator

T = TypeVar("T", Incoming, Outgoing)


def main(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer until the input ends."""
    decoder, encoder = msgspec.msgpack.Decoder(Request), msgspec.msgpack.Encoder()
    translator: SiteTranslator | None = None
    while len(head := source.read(HEAD)) == HEAD:
        letter = decoder.decode(source.read(length(head)))
        if isinstance(letter, Opening):
            translator = assembled(letter.file, letter.source, letter.tables, letter.known).translator
            spare_the_collector()
            continue
        if translator is None:
            raise RuntimeError("the first letter opens")
        results: list[Result] = []
        if isinstance(letter, ToRead):
            results.extend(_done(_read, translator, one) for one in letter.messages)
        else:
            results.extend(_done(_write, translator, one) for one in letter.orders)
        sink.write(sealed(encoder, Answer(letter.number, results)))
        sink.flush()


def _done(work: Callable[[SiteTranslator, T], Result], translator: SiteTranslator, one: T) -> Result:
    try:
        return work(translator, one)
    except Rejection as rejection:
        return Refused(rejection.findings)
    except Exception as error:  # a defect of ours must cost one message, not the feed
        return Broken(place_of(error))


def _read(translator: SiteTranslator, one: Incoming) -> Result:
    message = Message(id=one.id, channel=one.channel, raw=Phi(one.raw), received_at=one.received_at,
                      message_type=one.message_type, charset=one.charset, seq=0, partition=0, since=0)
    read = translator.read(message)
    return ReadDone(read.events, read.findings, read.revision, read.patience_s, read.unique_id, read.refused)


def _write(translator: SiteTranslator, one: Outgoing) -> Result:
    delivery = Delivery(id=one.id, message_seq=0, event_id=one.event.id, destination=one.destination, lane="",
                        partition=0, due_at=0)
    written = translator.write(delivery, one.event, one.state)
    return WriteDone(written.identity, written.body.reveal(), written.content_type, written.attributes,
                     written.findings, written.numbering)


if __name__ == "__main__":
    # A Ctrl-C is for the engine, which then ends our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main(sys.stdin.buffer, sys.stdout.buffer)
