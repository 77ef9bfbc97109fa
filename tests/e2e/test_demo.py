"""The demo, as a user sees it: it is the first thing anybody runs."""

from __future__ import annotations

import io
import re
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from console.views.messages import HELD
from tests.e2e.harness import dragoman
from wiring.demo.picture import Flow, picture
from wiring.demo.play import PROTOCOLS


def _nothing_left(folder: Path) -> bool:
    return not [process for process in psutil.process_iter(["cmdline"])
                if str(folder) in " ".join(process.info["cmdline"] or ())]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_demo_ends_well_and_leaves_nothing_running(tmp_path: Path) -> None:
    """Issue 2: the flow, what failed and why, the replay that mends it; and the whole counted at the end."""
    said = dragoman("demo", "--messages", "60", "--folder", str(tmp_path / "demo"), within_s=200)
    assert said.code == 0, said.out + said.err
    for part in ("map.unmapped", "map.no_subject", "held behind them",
                 "dry run: nothing was changed", "done: 1 of 1 item", "skipped: 1 of 1",
                 "nothing waits for a person", "the audit trail is whole",
                 "Everything arrived, in order and once."):
        assert part in said.out, part
    assert re.search(r"retry (503|429)", said.out), "the scheduler asked to wait"
    assert "✗" not in said.out
    assert said.out.count("✓") == 7
    assert "\x1b" not in said.out, "escape sequences are for terminals"
    assert "Traceback" not in said.out + said.err
    assert _nothing_left(tmp_path)
    look = dragoman("messages", "--config", str(tmp_path / "demo" / "config" / "demo"), "--json")
    assert len(look.json["messages"]) == 50, "its ledger can be looked into afterwards"


def test_the_flow_is_drawn_in_one_screen_of_eighty_columns() -> None:
    flow = Flow(received={"mercy": 60, "lakeside": 59}, messages={"processed": 104, "parked": 2, HELD: 11},
                deliveries={"scheduler": {"delivered": 40, "pending": 63, "inflight": 1}, "harbor": {"delivered": 105},
                            "staffing": {"delivered": 41, "superseded": 14, "parked": 3}},
                trouble={"scheduler": "503"}, newest=["SIU^S12  mercy     parked map.unmapped"])
    screen = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    with screen.capture() as capture:
        screen.print(picture(flow, PROTOCOLS))
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= 80
    drawn = {words[1]: words[2:] for line in lines if len(words := line.rpartition("│")[2].split()) > 2
             and words[0] == "─▶"}
    assert drawn == {"scheduler": ["FHIR", "R4", "40", "64", "0", "503"], "harbor": ["HL7", "v2.3", "105", "0", "0"],
                     "staffing": ["JSON", "55", "0", "3"]}
    for part in ("mercy", "60 ─▶", "dragoman", "processed 104", "parked", "SIU^S12  mercy     parked map.unmapped"):
        assert part in capture.get(), part
