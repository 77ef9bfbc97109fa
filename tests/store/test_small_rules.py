"""The pure parts of the store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from canonical.model import Appointment, AppointmentStatus, Patient, Slot, SlotStatus
from store.aliases import link, survivor
from store.partition import partition_of
from store.retention import closed
from store.sql.rows import files_in, files_out, text_in, text_out

ROOT = Path(__file__).parents[2]


def test_a_lane_has_the_same_partition_in_every_process() -> None:
    """Python's own hash is salted: two processes would disagree about who owns a patient."""
    lanes = ["patient:MERCY|1", "patient:MERCY|2", "pätient", ""]
    program = ("import sys; from store.partition import partition_of; "
               "print([partition_of(lane, 16) for lane in sys.argv[1:]])")
    other = subprocess.run([sys.executable, "-c", program, *lanes], capture_output=True, text=True, check=True,
                           cwd=ROOT, env={"PYTHONHASHSEED": "7", "PYTHONUTF8": "1"})
    assert other.stdout.strip() == str([partition_of(lane, 16) for lane in lanes])


def test_the_partition_of_a_lane_never_changes_between_releases() -> None:
    """These numbers are in every database there is: CRC-32 of ``123456789`` is 0xCBF43926 by its definition."""
    assert partition_of("123456789", 2**32) == 0xCBF43926


@example("\ud800\udc00")  # two halves that must not become one character
@example("\x01already marked")
@example("\x01märked")
@given(st.text(st.characters(codec=None), max_size=30))
def test_whatever_a_sender_writes_into_a_text_field_comes_back(text: str) -> None:
    """Lone surrogates carry bytes of no charset; NUL is refused by PostgreSQL."""
    stored = text_in(text)
    stored.encode()
    assert "\x00" not in stored
    assert text_out(stored) == text


@given(st.dictionaries(st.text(max_size=10), st.binary(max_size=50), max_size=5))
def test_the_files_of_a_revision_come_back(files: dict[str, bytes]) -> None:
    assert files_out(files_in(files)) == files


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=30))
def test_chains_of_merges_never_close(merges: list[tuple[str, str]]) -> None:
    """A4.1, A4.5: merges chain, turn round and are undone; following them always ends at somebody alive."""
    aliases: dict[str, str] = {}
    for old, new in merges:
        link(aliases, old, new)
        assert survivor(aliases, old) == survivor(aliases, new)
        for key in "abcdef":
            end = survivor(aliases, key)
            assert aliases.get(end, end) == end


def test_a_merge_the_other_way_round_makes_the_first_the_survivor_again() -> None:
    aliases: dict[str, str] = {}
    link(aliases, "a", "b")
    link(aliases, "b", "a")
    assert (survivor(aliases, "a"), survivor(aliases, "b")) == ("a", "a")


def test_only_a_subject_whose_story_is_over_is_closed() -> None:
    """D04: a terminal status; people never end."""
    assert closed(Appointment(status=AppointmentStatus.CANCELLED))
    assert closed(Slot(status=SlotStatus.ENTERED_IN_ERROR))
    assert not closed(Appointment(status=AppointmentStatus.BOOKED))
    assert not closed(Appointment(status=None))
    assert not closed(Appointment())
    assert not closed(Slot(status=SlotStatus.FREE))
    assert not closed(Patient())


def test_only_the_store_holds_a_mint() -> None:
    """Invariant 1: a receipt can come from the ledger alone. Import contracts cannot name one class of a module."""
    holders = {path.relative_to(ROOT).parts[0]
               for room in ("canonical", "connectors", "mapper", "router", "store", "console", "simulators",
                            "wiring", "app.py")
               for path in ([ROOT / room] if room.endswith(".py") else sorted((ROOT / room).rglob("*.py")))
               if "ReceiptMint" in path.read_text()}
    assert holders == {"canonical", "store"}


def test_a_task_is_over_when_nothing_more_is_to_be_done_about_it() -> None:
    from canonical.coverage import CheckStatus, EligibilityCheck
    from canonical.task import TaskStatus, WorkTask

    assert [status.value for status in TaskStatus if closed(WorkTask(status=status))] == ["done", "cancelled"]
    assert [status.value for status in CheckStatus if closed(EligibilityCheck(status=status))] == ["closed"]
