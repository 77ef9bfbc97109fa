"""Runs a partner by its name until it is cancelled: what ``dragoman simulate`` calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from simulators.downstream import DownstreamHl7
from simulators.erp import Erp
from simulators.faults import Plan
from simulators.fhir_server import FhirServer
from simulators.http import HttpPartner
from simulators.payer import Payer

#: Partners that listen. The EHR speaks first: see `simulators.ehr.feed`.
PARTNERS: Final[dict[str, type[DownstreamHl7] | type[HttpPartner]]] = {
    "downstream": DownstreamHl7, "fhir": FhirServer, "erp": Erp, "payer": Payer}


async def serve(name: str, port: int, faults: Sequence[str] = (), *, keep: bool = False,
                ready: Callable[[int], None] = lambda _: None) -> None:
    """Run one partner on 127.0.0.1.

    Args:
        name: One of `PARTNERS`.
        port: 0 takes a free one.
        faults: Rules of `simulators.faults`.
        keep: Keep every delivery in memory.
        ready: Told the port once it is listening.

    Raises:
        ValueError: a fault rule cannot be read.
        OSError: the port is in use.
    """
    async with PARTNERS[name](port, plan=Plan(*faults), keep=keep) as partner:
        ready(partner.port)
        await asyncio.Event().wait()
