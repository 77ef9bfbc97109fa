"""Bad config, port in use, database away: one clear line each, exit code 2, nothing half started."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from tests.e2e.harness import engine, refused, typed
from wiring.demo.stage import Stage


def edit(stage: Stage, old: str, new: str) -> str:
    """Replace one piece of site.yaml; returns ``FILE:LINE:`` of the place."""
    file = stage.config / "site.yaml"
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    file.write_text(text.replace(old, new), encoding="utf-8")
    return f"{file}:{text[:text.index(old)].count(chr(10)) + 1}:"


@pytest.mark.parametrize(("old", "new", "reason", "hint"), [
    ("    charset: 8859/1", "    charsett: 8859/1", "unknown key charsett", "did you mean charset?"),
    ("max_in_flight: 8", "max_in_flight: many", "int", ""),
    ("max_in_flight: 8", "max_in_flight: 0", ">= 1", ""),
    ("erp/staffing_demand", "erp/stafing_demand", "there is no mapping erp/stafing_demand",
     "did you mean erp/staffing_demand?"),
    ("to: [scheduler]", "to: [sheduler]", "there is no destination sheduler", "did you mean scheduler?"),
    ("lead_hours: below 48", "lead_hour: below 48", "there is no fact lead_hour", "did you mean lead_hours?"),
    ("connector: fhir", "connector: fihr", "there is no connector (out) fihr", "did you mean fhir?"),
    ("{host: 127.0.0.1, port:", "{hots: 127.0.0.1, port:", "unknown key hots", "did you mean host?"),
    ("site: demo", "site: demo\nsite: again", "site is already on line", "remove one of the two"),
    ("site: demo", "site: [demo", "did not find expected", "unclosed bracket"),
])
def test_a_faulty_configuration_is_one_line_with_file_line_column_and_hint(
        stage: Stage, capsys: pytest.CaptureFixture[str], old: str, new: str, reason: str, hint: str) -> None:
    place = edit(stage, old, new)
    (line,) = refused(capsys, "run", "--config", str(stage.config))
    assert reason in line
    assert hint in line
    if old != "site: demo":  # the fault of those shows further down
        assert line.startswith(place)
    assert re.match(rf"{re.escape(str(stage.config))}/site\.yaml:\d+:\d+: ", line)
    assert not (stage.config / "var").exists(), "no ledger was made"


def test_every_fault_is_told_at_once_not_one_a_run(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    edit(stage, "to: [scheduler]", "to: [sheduler]")
    edit(stage, "connector: fhir", "connector: fihr")
    assert len(refused(capsys, "run", "--config", str(stage.config))) == 2


def test_a_faulty_table_stops_the_start_with_its_own_line(
        stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    table = stage.mappings / "hl7v2" / "siu.yaml"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("  identifiers(type=PLAC): SCH-1\n", "  identifiers(type=PLAC): SHC-1\n"),
                     encoding="utf-8")
    line = text[:text.index("  identifiers(type=PLAC)")].count("\n") + 1
    faults = refused(capsys, "run", "--config", str(stage.config))
    assert faults
    assert all(one.startswith(f"hl7v2/siu.yaml:{line}:") for one in faults)
    assert "SHC" in faults[0]
    assert not (stage.config / "var").exists()


def test_no_configuration_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("run", "check", "test", "messages"):
        (line,) = refused(capsys, command, "--config", str(tmp_path))
        assert f"{tmp_path}: no site.yaml in this folder" in line


async def test_a_port_in_use_is_named_and_nothing_stays_started(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", stage.ports["lakeside"])):
        said = await typed("run", "--config", str(stage.config))
    faults = [line for line in said.lines if not line.startswith("{")]
    assert (said.code, len(faults)) == (2, 1), said.err
    text = (stage.config / "site.yaml").read_text(encoding="utf-8")
    line = text[:text.index("\n  lakeside:") + 1].count("\n") + 1
    assert faults[0].startswith(f"{stage.config / 'site.yaml'}:{line}:")
    assert f"127.0.0.1:{stage.ports['lakeside']}" in faults[0]
    assert "in use" in faults[0]
    assert "another program holds it" in faults[0]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", stage.ports["mercy"])) != 0


def test_two_channels_on_one_port_are_told_before_anything_is_bound(
        stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    edit(stage, f"port: {stage.ports['lakeside']}", f"port: {stage.ports['mercy']}")
    (line,) = refused(capsys, "run", "--config", str(stage.config))
    assert "belongs to channel mercy already" in line


@pytest.mark.parametrize(("url", "commands"), [
    ("postgresql://u:ZZSECRET@127.0.0.1:1/none", ["run", "messages"]), ("oracle://somewhere", ["run", "messages"]),
    ("sqlite:////proc/none/ledger.sqlite3", ["run"])])
def test_a_database_that_cannot_be_used_is_one_line_without_its_password(
        stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
        url: str, commands: list[str]) -> None:
    monkeypatch.setenv("DRAGOMAN_DATABASE", url)
    for command in commands:
        (line,) = refused(capsys, command, "--config", str(stage.config))
        assert "DRAGOMAN_DATABASE" in line
        assert "ZZSECRET" not in line
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", stage.ports["mercy"])) != 0, "nothing is half started"


def test_a_role_of_its_own_needs_a_broker(stage: Stage, capsys: pytest.CaptureFixture[str],
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRAGOMAN_BROKER", raising=False)
    (line,) = refused(capsys, "run", "--config", str(stage.config), "--role", "worker")
    assert "DRAGOMAN_BROKER is not set" in line
    monkeypatch.setenv("DRAGOMAN_BROKER", "rabbit.local")
    (line,) = refused(capsys, "run", "--config", str(stage.config))
    assert "amqp://" in line


def test_looking_before_anything_ran_makes_no_ledger(
        stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DRAGOMAN_DATABASE", raising=False)
    for command in (["messages"], ["parked"], ["audit", "verify"], ["show", "X"], ["replay", "X"]):
        (line,) = refused(capsys, *command, "--config", str(stage.config))
        assert "no ledger at" in line
    assert not (stage.config / "var").exists()


async def test_a_signal_stops_it_in_good_order(stage: Stage) -> None:
    async with engine(stage) as process:
        folder = stage.config / "var"
        assert folder.stat().st_mode & 0o777 == 0o700, "what is in there is PHI"
        assert await process.stop() == 0
    log = stage.log.read_text(encoding="utf-8")
    assert '"event": "stopped"' in log
    assert "Traceback" not in log


@pytest.mark.parametrize("arguments", [["nonsense"], ["show"], ["messages", "--limit", "0"],
                                       ["run", "--role", "king"], ["send", "x", "nowhere"]])
def test_wrong_usage_is_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert len(refused(capsys, *arguments)) == 1
