"""``python -m wiring.bureau.clerk``: reads requests from standard input, writes answers to standard output.

Ends when its input ends, which is when the engine stops, however it stops.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import BinaryIO, TypeVar

import msgspec

from canonical.event import Event
from canonical.findings import Rejection
from canonical.phi import Phi
from router.translate import place_of
from store.records import Delivery, Message
from wiring.assembly import assembled
from wiring.bureau.letters import (
    DEPTH,
    HEAD,
    NAMED,
    Answer,
    Broken,
    Incoming,
    Opening,
    Outgoing,
    ReadDone,
    Refused,
    Request,
    Result,
    Shelf,
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
    shelf = Shelf(NAMED + DEPTH)
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
            shelf.put(results)
        else:
            write = partial(_write, shelf)
            results.extend(_done(write, translator, one) for one in letter.orders)
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
    return ReadDone(translator.read(message))


def _write(shelf: Shelf, translator: SiteTranslator, one: Outgoing) -> Result:
    event = one.event if isinstance(one.event, Event) else shelf.get(one.event)
    if event is None:
        raise LookupError("the engine names an event that was not kept")
    delivery = Delivery(id=one.id, message_seq=0, event_id=event.id, destination=one.destination, lane="",
                        partition=0, due_at=0)
    written = translator.write(delivery, event, one.state)
    return WriteDone(written.identity, written.body.reveal(), written.content_type, written.attributes,
                     written.findings, written.numbering)


if __name__ == "__main__":
    # A Ctrl-C is for the engine, which then ends our input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main(sys.stdin.buffer, sys.stdout.buffer)
