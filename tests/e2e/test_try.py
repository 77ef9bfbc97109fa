"""`dragoman try`: what an analyst mistypes is named, and a refused message is not buried in its own fields."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import command_line
from console import frame
from tests.e2e.harness import refused
from wiring.demo.stage import ROOT, Stage

BOOKING = ROOT / "mappings" / "sites" / "mercy" / "samples" / "siu_s12.hl7"


@pytest.mark.parametrize(("arguments", "expected"), [
    (["siu", str(BOOKING), "--to", "harbour"], "--to harbour: neither a destination nor a table (did you mean harbor?)"),
    (["siu", str(BOOKING), "--site", "mercyy"], "no such site (did you mean mercy?)"),
    (["sui", str(BOOKING)], "sui: no such table"),
])
def test_a_slip_is_one_line_with_a_suggestion(
        stage: Stage, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str) -> None:
    (line,) = refused(capsys, "try", *arguments, "--config", str(stage.config))
    assert expected in line


def test_an_empty_file_is_called_empty(stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.hl7"
    empty.write_bytes(b"\n")
    (line,) = refused(capsys, "try", "siu", str(empty), "--config", str(stage.config))
    assert "the file is empty" in line


def test_a_message_for_another_table_says_why_and_not_all_that_was_not_read(
        stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    code = frame.run(command_line(), ["try", "adt", str(BOOKING), "--config", str(stage.config)])
    screen = capsys.readouterr().out
    assert code == 1
    assert "[map.unknown_event]" in screen
    assert "unread input" not in screen
