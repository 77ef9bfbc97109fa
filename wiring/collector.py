"""Python's cycle collector, out of the way."""

from __future__ import annotations

import gc


def spare_the_collector() -> None:
    """Call once everything is loaded. Tables and code live for ever and messages are trees, so the collector has
    next to nothing to find; with the usual thresholds it stops the process for up to 100 ms under load
    (``python -m bench.end_to_end``)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
