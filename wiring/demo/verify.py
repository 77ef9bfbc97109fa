"""Is everything where it belongs? Counted at the partners, and compared with the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import msgspec

from canonical.model import Appointment, Identifier
from router.identity import STEM, control_id
from simulators.fhir_server import FhirServer
from simulators.sink import Sink
from store.ledger import Ledger
from store.records import Delivery, DeliveryState, Message, MessageQuery, MessageState, State

_FINISHED = {MessageState.PROCESSED, MessageState.FILTERED, MessageState.DISCARDED}


class Check(msgspec.Struct, frozen=True):
    """One statement, and whether it holds."""

    text: str
    holds: bool


async def verify(ledger: Ledger, acknowledged: Collection[str], fhir: FhirServer, harbor: Sink,
                 staffing: Sink) -> list[Check]:
    """Every statement the demo ends with.

    Args:
        ledger: of the engine.
        acknowledged: control ids that the EHRs hold an AA for.
        fhir: the scheduler.
        harbor: what the HL7 system got.
        staffing: what the ERP got.
    """
    messages = await ledger.find(MessageQuery(limit=100_000))
    deliveries = await ledger.deliveries([message.seq for message in messages])
    known = {message.control_id: message for message in messages}
    accounted = [known.get(one) for one in acknowledged]
    finished = [one for one in accounted if one is not None and one.state in _FINISHED]
    states = await _appointments(ledger, messages)
    right = sum(1 for state in states if _is_there(fhir, state))
    return [
        Check(f"{len(finished)} of {len(acknowledged)} acknowledged messages are accounted for",
              len(finished) == len(acknowledged)),
        Check(f"nothing is left waiting in {len(deliveries)} deliveries",
              not any(delivery.state.open for delivery in deliveries)),
        *_arrived("harbor", harbor, deliveries),
        *_arrived("staffing", staffing, deliveries),
        Check(f"the scheduler holds {right} of {len(states)} appointments in their present state",
              right == len(states)),
    ]


def _arrived(name: str, sink: Sink, deliveries: Sequence[Delivery]) -> Iterable[Check]:
    sent = [one for one in deliveries if one.destination == name and one.state is DeliveryState.DELIVERED]
    effects = Counter(identity[:STEM] for identity in sink.effects.elements())
    once = sum(1 for one in sent if effects[stem(one)])
    yield Check(f"{once} of {len(sent)} deliveries had their effect at {name}, none of them twice",
                once == len(sent) and not sink.repeated())
    place = {arrival.identity[:STEM]: number for number, arrival in enumerate(sink.arrivals) if arrival.effect}
    lanes: dict[str, list[int]] = {}
    for one in sent:
        lanes.setdefault(one.lane, []).append(place.get(stem(one), -1))
    ordered = sum(1 for places in lanes.values() if places == sorted(places))
    yield Check(f"{ordered} of {len(lanes)} patients' messages came to {name} in their order",
                ordered == len(lanes))


def stem(delivery: Delivery) -> str:
    """What all identities of a delivery begin with."""
    return control_id(delivery.id)[:STEM]


async def _appointments(ledger: Ledger, messages: Sequence[Message]) -> list[State]:
    events = await ledger.events_of([message.id for message in messages])
    keys = dict.fromkeys(event.subject_key for event in events if isinstance(event.entity, Appointment))
    found = [await ledger.state_of(key) for key in keys]
    return [state for state in found if state is not None]


def _is_there(fhir: FhirServer, state: State) -> bool:
    """One resource with the appointment's filler number, in its status."""
    entity = state.entity
    assert isinstance(entity, Appointment)
    filler = next((one for one in entity.identifiers or () if one.type == "FILL"), Identifier())
    held = fhir.find("Appointment", str(filler.system or ""), str(filler.value))
    return len(held) == 1 and held[0]["status"] == entity.status
