"""What HTTP offers to the configuration."""

from __future__ import annotations

from typing import Final

from connectors.base import ConnectorSpec
from connectors.http.receiver import HttpReceiver
from connectors.http.sender import HttpSender
from connectors.http.settings import HttpIn, HttpOut

HTTP_IN: Final = ConnectorSpec(
    name="http", direction="in", settings=HttpIn, build=HttpReceiver,
    summary="Takes messages by HTTP POST and answers after each is stored")
HTTP_OUT: Final = ConnectorSpec(
    name="http", direction="out", settings=HttpOut, build=HttpSender,
    summary="Sends each message as an HTTP request with an idempotency key")
