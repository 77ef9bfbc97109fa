"""Options of TCP sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Final

#: Seconds between questions, and how many may stay without answer.
_EVERY_S: Final = 10
_TIMES: Final = 3


def keep_alive(transport: asyncio.BaseTransport, after_s: int) -> None:
    """Have the system find out about a peer that vanished without a word (a firewall, a power cut)."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    with contextlib.suppress(OSError):  # gone already, or not TCP
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", after_s), ("TCP_KEEPINTVL", _EVERY_S), ("TCP_KEEPCNT", _TIMES)):
            if (option := getattr(socket, name, None)) is not None:  # not on every platform
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
