"""Independent programs agree with us: linuxforhealth-x12 on 270, 271, 276 and 277, pyx12 on the 999 (each in an
environment of its own; skipped where PyPI cannot be reached)."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.x12.edi import parse
from connectors.x12.guide import find
from connectors.x12.judge import judge
from connectors.x12.loops import Loop, walk
from tests.pypi import installed
from tests.x12.messages import INQUIRY, a_set, an_interchange, answer, inquiry, sample_files
from tests.x12.test_acknowledge import answered

#: The first run on a machine installs the other programs.
pytestmark = [pytest.mark.peer, pytest.mark.timeout(500)]

#: (what is changed in a good inquiry, into what): both must accept it, or both must not.
CHANGES = (
    ("SE*13*", "SE*99*"), ("NM1*PR", "NM1*ZZ"), ("NM1*IL*1", "NM1*IL*3"), ("EQ*30", "EQ*!!"),
    ("*D8*19430519", "*D8*19431319"), ("HL*1**20*1~", ""), ("NM1*IL*1*SMITH*ROBERT****MI*11122333301~", ""),
    ("DTP*291*D8*20260310", "DTP*999*D8*20260310"), ("DTP*291*D8", "DTP*291*D6"),
    ("BHT*0022*13*CHECK1*20260310*1147~", ""), ("BHT*0022*13", "BHT*0022*99"), ("BHT*0022*13", "BHT*0019*13"),
    ("TRN*1*CHECK1*9877281234~", "TRN*1**9877281234~"), ("HL*3*2*22*0", "HL*3*2*24*0"),
    ("*PI*842610001", "*QQ*842610001"), ("NM1*1P*2", "NM1*1P*"), ("*XX*1467857193", "*XX*"),
    ("DMG*D8*19430519", "DMG*D8*19430519*X"), ("HL*3*2*22*0", "HL*3*7*22*0"), ("ROBERT", "R" * 36),
    ("EQ*30~", "EQ*30~ZZZ*1~"), ("EQ*30~", "EQ*30~HCR*A1~"),
    ("DMG*D8*19430519~", "N3*1 MAIN ST~N4*KANSAS CITY*MO*64108~DMG*D8*19430519~"),
    ("DMG*D8*19430519~", "REF*SY*123456789~DMG*D8*19430519~"),
    ("DMG*D8*19430519~", "REF*!!*123456789~DMG*D8*19430519~"),
    ("DTP*291*D8*20260310", "DTP*291*RD8*20260310-20260312"), ("HL*2*1*21*1~", "HL*2*1*21*1*X~"),
)
#: Where they do not agree, and who is right.
OTHERWISE = (
    (("TRN*1*CHECK1", "TRN*9*CHECK1"), False, True, "they do not check the codes of TRN01"),
    (("EQ*30~", "EQ*30~EQ*98~"), True, False, "two EQ are allowed (99); their parser stops with a KeyError"),
    (("DMG*D8*19430519~", "INS*Y*18***************2~DMG*D8*19430519~"), False, True,
     "they do not check the order of segments"),
)


def ask(python: Path, script: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    """What the other program says to each text."""
    done = subprocess.run([str(python), str(Path(__file__).with_name(script))], input=json.dumps(texts), text=True,
                          capture_output=True, check=True, timeout=100)
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


@pytest.fixture(scope="module")
def linuxforhealth() -> Path:
    return installed("linuxforhealth-x12", ["linuxforhealth-x12==0.57.0", "pydantic<2"])


def changed(old: str, new: str) -> str:
    """A good inquiry with one change, counted."""
    text = inquiry().decode().replace(old, new, 1)
    start, end = text.index("ST*"), text.index("SE*")
    return text if "SE*99" in text else re.sub(r"SE\*\d+", f"SE*{text[start:end].count('~') + 1}", text)


def accepted(text: str) -> bool:
    verdict = judge(parse(text.encode()).interchanges[0])
    return verdict.code != "R" and all(group.code in "AE" for group in verdict.groups)


def shape(loop: Loop) -> list[Any]:
    """The tree of loops as the other program tells it."""
    return sorted([each.id, shape(each)] for each in loop.loops)


def test_the_same_interchanges_are_good_and_bad(linuxforhealth: Path) -> None:
    """X05, X19, X24: one change at a time."""
    texts = [changed(*change) for change in CHANGES]
    theirs = [each["ok"] for each in ask(linuxforhealth, "linuxforhealth_peer.py", texts)]
    assert [accepted(text) for text in texts] == theirs
    assert 3 <= sum(theirs) < len(theirs)


def test_where_we_do_not_agree_there_is_a_reason(linuxforhealth: Path) -> None:
    texts = [changed(*change) for change, _, _, _ in OTHERWISE]
    theirs = [each["ok"] for each in ask(linuxforhealth, "linuxforhealth_peer.py", texts)]
    assert [(accepted(text), other) for text, other in zip(texts, theirs, strict=True)] \
        == [(ours, other) for _, ours, other, _ in OTHERWISE]


def test_both_see_the_same_loops(linuxforhealth: Path) -> None:
    """X19, X28: the whole tree of every sample and of our own messages."""
    files = [path.read_text("iso-8859-1") for path in sample_files()
             if path.name.startswith("x12__") and path.parent.name in {"270", "271", "276", "277"}]
    texts = [inquiry().decode(), answer().decode(), *files]
    for text, theirs in zip(texts, ask(linuxforhealth, "linuxforhealth_peer.py", texts), strict=True):
        each = parse(text.encode()).sets()[0]
        assert theirs["ok"]
        assert [shape(walk(each, find(each.id, each.guide)).root)] == [ordered(tree) for tree in theirs["loops"]]


def ordered(tree: list[Any]) -> list[Any]:
    return sorted([name, ordered(inner)] for name, inner in tree)


def test_pyx12_takes_every_999_of_ours() -> None:
    """4.2: valid by its map of 005010X231A1, and a broken one is not."""
    python = installed("pyx12", ["pyx12==4.0.0", "setuptools"])
    two = an_interchange(a_set(INQUIRY), a_set(INQUIRY.replace("EQ*30~", "EQ**HC:9!:1~").replace(
        "DMG*D8*19430519", "DMG*D8*19431319"), control="0002"))
    ours = [answered(raw).replace("~\n", "~") for raw in (
        inquiry(), inquiry().replace(b"*0*T*", b"*1*T*"), two, inquiry().replace(b"SE*13*", b"SE*19*"),
        inquiry().replace(b"EQ*30~", b"EQ*30~ZZZ*1~UM*HS~"))]
    broken = ours[0].replace("IK5*A", "IK5*Q")
    assert [each["ok"] for each in ask(python, "pyx12_peer.py", [*ours, broken])] == [True] * len(ours) + [False]
