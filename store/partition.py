"""Which partition a lane belongs to.

The hash must be the same in every process, release and language that ever touches the database, so it is CRC-32
(ISO 3309, as in zlib) of the lane's UTF-8 bytes: Python's own `hash` is salted per process.
"""

from __future__ import annotations

from zlib import crc32


def partition_of(lane: str, partitions: int) -> int:
    """The partition, 0 to ``partitions - 1``, that processes `lane`."""
    return crc32(lane.encode("utf-8", "surrogatepass")) % partitions
