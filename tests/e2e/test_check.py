"""`dragoman check` tells what a start would refuse, and what would run but never do what was meant."""

from __future__ import annotations

import pytest

from app import command_line
from console import frame
from wiring.demo.stage import Stage


def checked(stage: Stage, capsys: pytest.CaptureFixture[str], old: str, new: str) -> tuple[int, str]:
    """Exit code and screen of a check after one edit of site.yaml."""
    file = stage.config / "site.yaml"
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    file.write_text(text.replace(old, new), encoding="utf-8")
    code = frame.run(command_line(), ["check", "--config", str(stage.config)])
    return code, " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(("old", "new", "reason", "hint"), [
    ("site: mercy", "site: mercyy", "mappings/sites has no mercyy", "did you mean mercy?"),
    ("charset: 8859/1", "charset: latin_17", "there is no character set latin_17", "8859/1"),
    ("event: patient.updated", "event: patient.update", "no table makes the event patient.update",
     "did you mean patient.updated?"),
    ("starts slot.", "starts slott.", "no table makes the event slott.", "did you mean slot.?"),
    ("appointment.discontinued, ", "appointment.discontinue, ", "no table makes the event appointment.discontinue",
     "did you mean appointment.discontinued?"),
])
def test_what_would_be_silent_at_run_time_is_a_warning_with_its_place(
        stage: Stage, capsys: pytest.CaptureFixture[str], old: str, new: str, reason: str, hint: str) -> None:
    code, screen = checked(stage, capsys, old, new)
    assert code == 0
    assert "site.yaml:" in screen
    assert reason in screen
    assert hint in screen


def test_two_channels_on_one_port_are_found_before_the_start(
        stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    code, screen = checked(stage, capsys, f"port: {stage.ports['lakeside']}", f"port: {stage.ports['mercy']}")
    assert code == 1
    assert "belongs to channel mercy already" in screen


def test_a_code_that_the_model_does_not_have_is_refused_in_a_condition(
        stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    code, screen = checked(stage, capsys, "in (booked, cancelled)", "in (booked, canceled)")
    assert code == 1
    assert "status is never canceled (did you mean in (booked, cancelled)?)" in screen
