"""An independent program takes what our tables write and a partner's profile finishes."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.payer import Payer
from tests.payers.clinic import clinic
from tests.x12.test_agreement import ask, linuxforhealth

__all__ = ["linuxforhealth"]

#: The first run on a machine installs the other program.
pytestmark = [pytest.mark.peer, pytest.mark.timeout(500)]


async def test_linuxforhealth_takes_the_inquiry_that_was_sent(tmp_path: Path, linuxforhealth: Path) -> None:
    """X19, X22 to X25: by its model of 005010X279A1."""
    async with Payer() as payer, clinic(tmp_path, payer) as site:
        await site.books()
        await site.answered("active")
        sent, = payer.sink.arrivals
    told, = ask(linuxforhealth, "linuxforhealth_peer.py", [sent.body.decode()])
    assert told["ok"], told
