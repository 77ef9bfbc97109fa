"""docs/payers.md, *From a companion guide to a running payer*, done as it is written there: nothing else is needed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from simulators.payer import Payer
from simulators.x12 import requests
from tests.payers.clinic import MAPPINGS, booked, free_port, insured, reopened

ROOT = MAPPINGS.parent
PAGE = ROOT / "docs" / "payers.md"
#: What a site has before it takes on its first payer.
CLINIC = """
site: northgate
mappings: mappings
partitions: 2
"""
EHR = """
channels:
  ehr: {connector: mllp, mapping: {BAR: hl7v2/bar, SIU: hl7v2/siu}, settings: {port: PORT}}
"""


def blocks() -> dict[str, str]:
    """The YAML of the walk-through, by the number of its step."""
    section = PAGE.read_text().partition("## From a companion guide")[2].partition("\n## ")[0]
    return {number: yaml for number, yaml in re.findall(r"^\*\*(\d)\. .*?^```yaml\n(.*?)^```", section, re.M | re.S)}


def follow(folder: Path, url: str, port: int) -> None:
    """Write the files as the page says."""
    step = blocks()
    assert sorted(step) == ["1", "2", "3", "4"]
    for part in ("hl7v2", "x12", "vocab"):
        shutil.copytree(MAPPINGS / part, folder / "mappings" / part, ignore=shutil.ignore_patterns("*.tests.yaml"))
    for place, content in (("partners/acme.yaml", step["1"]), ("sites/acme/270.yaml", step["2"]),
                           ("partners/acme.tests.yaml", step["4"])):
        path = folder / "mappings" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    site = CLINIC + step["3"].replace("channels:\n", EHR.replace("PORT", str(port)).lstrip(), 1)
    assert "https://payer.example/core" in site
    (folder / "site.yaml").write_text(site.replace("https://payer.example/core", url))
    (folder / "inbox").mkdir()


def dragoman(*words: str) -> str:
    """The command, from this checkout."""
    done = subprocess.run([sys.executable, "-m", "app", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_an_analyst_who_follows_the_page_has_a_payer_that_answers(tmp_path: Path) -> None:
    """Issue C: a partner profile in YAML and its tests, nothing else."""
    async with Payer() as payer:
        port = free_port()
        follow(tmp_path, payer.url, port)
        dragoman("check", "--config", str(tmp_path))
        assert "1 passed, 0 failed" in dragoman("test", "--config", str(tmp_path))
        assert "p. 12, a group" in dragoman("explain", "x12/270", "--site", "acme", "--config", str(tmp_path))
        async with reopened(tmp_path, payer, port) as site:
            await site.tell(insured(1), booked(1, f"{datetime.now(UTC) + timedelta(7):%Y%m%d}"))
            await site.answered("active")
            assert await site.reasons() == []
        sent = requests(payer.sink.arrivals[0].body)[0]
        assert (sent.isa[6].strip(), sent.isa[8].strip(), sent.isa[15]) == ("NORTHGATE", "ACME", "T")
        assert (sent.value("REF", 2, "6P"), sent.value("TRN", 3)) == ("", "9NORTHGATE")


def test_the_page_and_the_shipped_site_are_the_same(tmp_path: Path) -> None:
    """The overlay and the keys of the profile that the page shows are those of config/payers."""
    step = blocks()
    assert step["2"].splitlines()[1:] == (MAPPINGS / "sites/acme/270.yaml").read_text().splitlines()[2:]
    shown = {line.split(":")[0] for line in step["1"].splitlines() if re.match(r"[a-z]", line)}
    shipped = {line.split(":")[0] for line in (MAPPINGS / "partners/acme.yaml").read_text().splitlines()
               if re.match(r"[a-z]", line)}
    assert shipped - shown <= {"characters", "payer_qualifier"}
