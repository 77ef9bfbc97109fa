"""A partner's profile at work: refused at the door, parked, or only told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.harness import Partners, engine, ledger, refused, settled, typed
from tests.e2e.test_live import BOOKING
from wiring.demo.stage import Stage

STRICT = """profile: strict
standard: {table: off}
segments:
  NTE: {required: yes}                    # only told
fields:
  PID-5.2: {required: yes, policy: fail}  # the sender must mend it
  AIL-3.2: {table: ["1", "2"], policy: park}
"""


def _given(stage: Stage, profile: str = STRICT, name: str = "strict") -> None:
    folder = stage.mappings / "profiles"
    folder.mkdir(exist_ok=True)
    (folder / "strict.yaml").write_text(profile, encoding="utf-8")
    file = stage.config / "site.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("    site: mercy\n", f"    site: mercy\n    profile: {name}\n", 1), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_each_policy_does_what_it_says(stage: Stage, tmp_path: Path) -> None:
    """warn: delivered with a finding. park: waits for a person. fail: AE with the place (A07, A09), kept as refused."""
    _given(stage)
    port = f"127.0.0.1:{stage.ports['mercy']}"
    cases = {"W1": BOOKING, "P1": BOOKING.replace(b"HEART^1^", b"HEART^9^"),
             "F1": BOOKING.replace(b"Ashby^Nora", b"Ashby")}
    config = ("--config", str(stage.config))
    async with Partners(stage), engine(stage), ledger(stage) as opened:
        codes = {}
        for name, body in cases.items():
            file = tmp_path / f"{name}.hl7"
            file.write_bytes(body % (name.encode(), b"P"))
            said = await typed("send", str(file), port, "--json")
            codes[name] = [(a["code"], *(c["code"] for c in a["complaints"])) for a in said.json["answers"]]
        await settled(opened, 3)
        assert codes == {"W1": [("AA",)], "P1": [("AA",)], "F1": [("AE", "101")]}
        assert (await opened.counts())["messages"] == {"processed": 1, "parked": 1, "refused": 1}
        shown = (await typed("show", "W1", *config, "--json")).json
        assert "profile.segment" in str(shown)
        shown = (await typed("show", "P1", *config, "--json")).json
        assert "profile.table" in str(shown)
        assert "AIL-3.2" in str(shown)


@pytest.mark.parametrize(("profile", "name", "said"), [
    (STRICT, "stirct", ["there is no profile stirct", "did you mean strict?"]),
    (STRICT.replace("PID-5.2", "PID-95"), "strict", ["strict.yaml:6:3", "there is no PID-95"]),
    (STRICT.replace("required: yes, policy: fail", "requierd: yes"), "strict",
     ["strict.yaml:6", "did you mean required?"]),
    (STRICT.replace("policy: park", "policy: parc"), "strict", ["strict.yaml:7"]),
])
def test_a_wrong_profile_stops_the_start_with_its_place(
        stage: Stage, capsys: pytest.CaptureFixture[str], profile: str, name: str, said: list[str]) -> None:
    _given(stage, profile, name)
    (line,) = refused(capsys, "run", "--config", str(stage.config))
    for part in said:
        assert part in line
