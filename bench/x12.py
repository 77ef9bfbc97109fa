"""X12: one 271 of 2,000 EB lines parsed, walked and judged; and a batch of 100,000 inquiries through the streaming
reader, with the memory that takes."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import typer

from bench.report import ROOT, best, console, emit, machine, micros, ratio, table
from connectors.x12.edi import parse
from connectors.x12.format import X12Format
from connectors.x12.guide import guide
from connectors.x12.judge import judge, judge_pieces
from connectors.x12.loops import walk
from connectors.x12.stream import pieces

BENEFITS: Final = 2_000
INQUIRIES: Final = 100_000
_CHUNK: Final = 64 * 1024
_FLOOR: Final = "str.split (floor)"
_OURS: Final = "parse and walk"
_HEAD: Final = ("ISA*00*          *00*          *ZZ*PAYER          *ZZ*CLINIC         *260310*1147*^*00501*000000907*0*T*:~"
                "GS*{group}*PAYER*CLINIC*20260310*1147*1*X*005010X279A1~")


def answer(benefits: int = BENEFITS) -> bytes:
    """A 271 with that many EB loops, a third of them with a date and a message."""
    body = ("BHT*0022*11*CHECK1*20260310*1148~HL*1**20*1~NM1*PR*2*ACME HEALTH*****PI*842610001~"
            "HL*2*1*21*1~NM1*1P*2*BONE AND JOINT CLINIC*****XX*1467857193~"
            "HL*3*2*22*0~TRN*2*CHECK1*9877281234~NM1*IL*1*SMITH*ROBERT****MI*11122333301~DMG*D8*19430519*M~")
    body += "".join(
        f"EB*B*IND*{number % 28 + 1}^33^35*HM**27*{number}.5****Y*Y~DTP*292*RD8*20260101-20261231~MSG*AFTER DEDUCTIBLE~"
        if number % 3 == 0 else f"EB*1*IND*{number % 28 + 1}*HM*GOLD*****Y*W~" for number in range(benefits))
    tail = f"SE*{body.count('~') + 2}*0001~GE*1*1~IEA*1*000000907~"
    return f"{_HEAD.format(group='HB')}ST*271*0001*005010X279A1~{body}{tail}".encode()


def file(inquiries: int = INQUIRIES) -> Iterator[bytes]:
    """A batch of 270, in chunks as a socket or a disk gives them."""
    body = ("BHT*0022*13*C{n}*20260310*1147~HL*1**20*1~NM1*PR*2*ACME HEALTH*****PI*842610001~HL*2*1*21*1~"
            "NM1*1P*2*CLINIC*****XX*1467857193~HL*3*2*22*0~TRN*1*C{n}*9877281234~NM1*IL*1*DOE*JANE****MI*{n:09d}~"
            "DMG*D8*19430519~DTP*291*D8*20260310~EQ*30~SE*13*{n:09d}~")
    buffer = _HEAD.format(group="HS").encode()
    for number in range(1, inquiries + 1):
        buffer += f"ST*270*{number:09d}*005010X279A1~".encode() + body.format(n=number).encode()
        if len(buffer) >= _CHUNK:
            yield buffer
            buffer = b""
    yield buffer + f"GE*{inquiries}*1~IEA*1*000000907~".encode()


def batch(inquiries: int, judged: bool) -> dict[str, float]:
    """Stream a batch; seconds, and megabytes of memory it needed beyond what the process had before."""
    judge(parse(answer(1)).interchanges[0])  # guides are loaded
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    seen = 0
    if judged:
        for _, verdict, whole in judge_pieces(pieces(file(inquiries))):
            seen += verdict is not None and verdict.code == "A"
            assert whole is None or whole.groups[0].accepted == inquiries
    else:
        seen = sum(len(piece.alone()) > 0 for piece in pieces(file(inquiries)) if piece.kind == "ST")
    seconds = time.perf_counter() - start
    assert seen == inquiries
    return {"seconds": seconds, "megabytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


def _apart(inquiries: int, judged: bool) -> dict[str, float]:
    """In a process of its own, whose high-water mark is that of the batch."""
    code = ("import msgspec, sys; from bench.x12 import batch; "
            f"sys.stdout.buffer.write(msgspec.json.encode(batch({inquiries}, {judged})))")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, timeout=1800)
    found: dict[str, float] = msgspec.json.decode(done.stdout)
    return found


def measure() -> dict[str, Any]:
    """Microseconds of one large answer, and what a batch takes."""
    raw, known, form = answer(), guide("271"), X12Format()
    name = form.message("271", {}).path("2110C(*)/EB-03(*)")
    timed = best({
        _FLOOR: lambda: [line.split("*") for line in raw.decode().split("~")],
        "parse": lambda: parse(raw),
        _OURS: lambda: walk(parse(raw).sets()[0], known),
        "parse, walk, read every EB03": lambda: name.every(form.root(parse(raw), "271")),
        "parse, walk, judge": lambda: judge(parse(raw).interchanges[0]),
    }, rounds=3)
    return {"benefits": BENEFITS, "bytes": len(raw), "micros": timed, "inquiries": INQUIRIES,
            "small": _apart(INQUIRIES // 100, judged=False), "split": _apart(INQUIRIES, judged=False),
            "judged": _apart(INQUIRIES, judged=True)}


def show(result: dict[str, Any]) -> None:
    """As tables."""
    times = result["micros"]
    table(f"One 271 of {result['benefits']:,} EB lines ({result['bytes']:,} bytes)", ["", "time", "ratio"],
          [[name, micros(value), ratio(value, times[_OURS])] for name, value in times.items()],
          caption="Ratio to parse and walk.")
    rows = [(f"{result['inquiries'] // 100:,} inquiries, split", result["small"]),
            (f"{result['inquiries']:,} inquiries, split", result["split"]),
            (f"{result['inquiries']:,} inquiries, split and judged", result["judged"])]
    table("A batch through the streaming reader", ["", "time", "memory"],
          [[name, f"{each['seconds']:.1f} s", f"{each['megabytes']:.1f} MB"] for name, each in rows],
          caption="Memory: the process's high-water mark beyond what it had before.")


def main(as_json: bool = typer.Option(False, "--json", help="JSON on standard output.")) -> None:
    """A large answer, and a batch of 100,000 inquiries."""
    here = machine()
    console.print(f"{here['cpu']}, {here['cores']} cores, Python {here['python']}, load {here['load']}")
    result = measure()
    show(result)
    if as_json:
        emit(result)


if __name__ == "__main__":
    typer.run(main)
