"""X12 messages for tests: the shared samples, and small ones made here."""

from __future__ import annotations

from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "samples"

ISA = "ISA*00*          *00*          *ZZ*CLINIC         *ZZ*PAYER          *260310*1147*^*00501*000000907*0*T*:~"
GS = "GS*HS*CLINIC*PAYER*20260310*1147*1*X*005010X279A1~"
INQUIRY = (
    "BHT*0022*13*CHECK1*20260310*1147~"
    "HL*1**20*1~NM1*PR*2*ACME HEALTH*****PI*842610001~"
    "HL*2*1*21*1~NM1*1P*2*BONE AND JOINT CLINIC*****XX*1467857193~"
    "HL*3*2*22*0~TRN*1*CHECK1*9877281234~NM1*IL*1*SMITH*ROBERT****MI*11122333301~"
    "DMG*D8*19430519~DTP*291*D8*20260310~EQ*30~")
ANSWER = (
    "BHT*0022*11*CHECK1*20260310*1148~"
    "HL*1**20*1~NM1*PR*2*ACME HEALTH*****PI*842610001~"
    "HL*2*1*21*1~NM1*1P*2*BONE AND JOINT CLINIC*****XX*1467857193~"
    "HL*3*2*22*0~TRN*2*CHECK1*9877281234~NM1*IL*1*SMITH*ROBERT****MI*11122333301~"
    "DMG*D8*19430519*M~DTP*346*D8*20260101~"
    "EB*1**30**GOLD 123 PLAN~"
    "EB*B**1^33^35*HM**27*10.5****Y*Y~"
    "EB*A**98***27**.2***U*W~DTP*292*RD8*20260101-20261231~MSG*COINSURANCE AFTER DEDUCTIBLE~"
    "LS*2120~NM1*P3*1*JONES*MARCUS****SV*0202034~LE*2120~")


def a_set(body: str, kind: str = "270", control: str = "0001", guide: str = "005010X279A1") -> str:
    """ST to SE around a body, counted."""
    return f"ST*{kind}*{control}*{guide}~{body}SE*{body.count('~') + 2}*{control}~"


def an_interchange(*sets: str, gs: str = GS, isa: str = ISA) -> bytes:
    """One group with sets, in the standard delimiters."""
    control = isa.split("*")[13]
    return f"{isa}{gs}{''.join(sets)}GE*{len(sets)}*1~IEA*1*{control}~".encode()


def inquiry(control: str = "0001") -> bytes:
    """A 270 for one subscriber."""
    return an_interchange(a_set(INQUIRY, control=control))


def answer() -> bytes:
    """A 271 for one subscriber, with copay, coinsurance and a named provider."""
    return an_interchange(a_set(ANSWER, "271"), gs=GS.replace("GS*HS", "GS*HB"))


def sample_files(folder: str = "x12") -> list[Path]:
    """The shared X12 samples; skips where they are not there."""
    if not (SAMPLES / folder).is_dir():
        pytest.skip(f"no sample messages at {SAMPLES / folder}")
    return sorted(path for path in (SAMPLES / folder).rglob("*") if path.is_file())
