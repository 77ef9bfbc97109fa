"""Generated referral faxes read and judged: how many fields are right, asked about, or silently wrong.

``python -m bench.documents`` reads 300 forms of each quality with our own OCR (kept in ``var/`` by hash, so the second run
takes seconds), extracts them with the shipped tables, and asks the review policy which fields a person would see.
``--calibrate`` makes the curves anew first, from other forms than those that are judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Final, cast

import msgspec
import typer

from bench.page_reader import CACHE, VERSION, read, version
from bench.report import console, emit, table
from canonical.document import Extracted
from canonical.page import PageDocument
from mapper.extract import trust
from mapper.extract.intake import DocumentMapping
from mapper.extract.known import Known, KnownProvider, Listed
from mapper.extract.reading import FormReading
from mapper.extract.trust import Calibration, Sample
from simulators.forms.facts import providers
from simulators.forms.fax import Quality
from simulators.forms.form import Referral, make, tiff
from wiring.assembly import tables
from workflow.policy import Policy, invalid

MAPPINGS: Final = Path(__file__).parents[1] / "mappings"
CURVES: Final = MAPPINGS / "documents" / "calibration.yaml"
TABLE: Final = "documents/referral"
#: Seeds that curves are made from, and seeds that are judged: never the same.
LEARN: Final = range(1, 121)
JUDGE: Final = 1001
#: Raised where the generator draws differently.
DRAWN: Final = 1
TODAY: Final = date(2026, 11, 24)
#: What the payers of the generator issue.
PAYERS: Final = {"Harbor Mutual": r"HMX\d{9}", "Prairie Health Plan": r"\d{11}", "Northern Shield": r"W\d{8}-0\d",
                 "Medicare": r"[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9]\d-"
                             r"[AC-HJKMNP-RT-Y]{2}\d\d"}


def known() -> Known:
    """The directory of providers and the payers' patterns; no index of patients."""
    return Known(payers=PAYERS, master=Listed(providers=[
        KnownProvider(npi=each.npi, family=each.family, given=each.given) for each in providers()]))


class Pair(msgspec.Struct):
    """A fax as it was read, and its truth."""

    pages: PageDocument
    truth: Referral


def same(one: str, other: str) -> bool:
    """Whether two values say the same; letters' case and blanks do not count."""
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()


def forms(quality: Quality, seeds: range) -> Iterator[tuple[int, PageDocument, Referral]]:
    """Faxes of one referral each, with their truth."""
    for seed in seeds:
        kept = CACHE / f"{quality}-{seed}-{VERSION}-{DRAWN}.json"
        if kept.is_file():
            both = msgspec.json.decode(kept.read_bytes(), type=Pair)
        else:
            pages, fax = make(seed, quality)
            both = Pair(read(tiff(pages)), fax.referrals[0])
            kept.write_bytes(msgspec.json.encode(both))
        yield seed, both.pages, both.truth


def extracted(mapping: DocumentMapping, source: PageDocument, truth: Referral, what: Known) -> FormReading | None:
    """The reading of the form of a fax; None where it was not recognised as what it is."""
    division, readings = mapping.extract(source, what, TODAY)
    wanted = f"documents/{truth.layout}_referral"
    for part, reading in zip([part for part in division.parts if part.template], readings, strict=True):
        if part.template is not None and part.template.name == wanted and part.pages[0].number == truth.pages[0]:
            return reading
    return None


class Judged(msgspec.Struct):
    """What became of the fields of one quality."""

    quality: str
    forms: int = 0
    clean: int = 0
    """Forms without any question."""
    unrecognised: int = 0
    right: int = 0
    flagged: int = 0
    wrong: int = 0
    """Silently."""
    needless: int = 0
    """Flagged although they were right."""
    by_field: Counter[str] = msgspec.field(default_factory=Counter)
    flags: Counter[str] = msgspec.field(default_factory=Counter)
    errors: list[str] = []

    @property
    def fields(self) -> int:
        """All of them."""
        return self.right + self.flagged + self.wrong


def judge(mapping: DocumentMapping, quality: Quality, seeds: range, policy: Policy) -> Judged:
    """Read and judge forms."""
    found, what = Judged(quality.value), known()
    for seed, source, truth in forms(quality, seeds):
        found.forms += 1
        reading = extracted(mapping, source, truth, what)
        if reading is None:
            found.unrecognised += 1
            found.flagged += len(truth.fields)
            continue
        evidence = {each.field: each for each in reading.evidence}
        asked = {each.field for each in reading.evidence if invalid(each) or policy.doubtful(each)}
        asked |= set(reading.missing)
        for field, value in truth.fields.items():
            _one(found, seed, field, value, evidence.get(field), field in asked or _list_of(field) in asked)
        for field in evidence.keys() - truth.fields.keys() - asked:
            found.wrong += 1
            found.errors.append(f"{quality}:{seed} {truth.layout} {field}: nothing is there")
        found.clean += not asked
    return found


def _list_of(field: str) -> str:
    return field.replace("(1)", "()").replace("(0)", "()").replace("(2)", "()")


def _one(found: Judged, seed: int, field: str, value: str, each: Extracted | None, asked: bool) -> None:
    got = each.value if each is not None and isinstance(each.value, str) else ""
    if asked:
        found.flagged += 1
        found.flags[_list_of(field)] += 1
        found.needless += same(got, value)
    elif same(got, value):
        found.right += 1
    else:
        found.wrong += 1
        found.by_field[_list_of(field)] += 1
        found.errors.append(f"{found.quality}:{seed} {field}")


def samples(mapping: DocumentMapping, quality: Quality, seeds: range) -> list[Sample]:
    """Readings that no validator refused, with the truth about each."""
    found, what = [], known()
    for _, source, truth in forms(quality, seeds):
        reading = extracted(mapping, source, truth, what)
        for result in reading.results if reading is not None else ():
            best = result.best
            if best is not None and not best.refused:
                found.append(Sample(result.group, best.score, same(best.reading.value, truth.fields.get(result.path, ""))))
    return found


def learn(mapping: DocumentMapping, seeds: range) -> Calibration:
    """Curves from forms of all qualities."""
    every = [one for quality in Quality for one in samples(mapping, quality, seeds if quality is not Quality.FINE
                                                           else seeds[:len(seeds) // 2])]
    return Calibration("documents/calibration", f"tesseract {version()}", f"{seeds[0]} to {seeds[-1]}", trust.fitted(every))


def show(results: list[Judged]) -> None:
    """The shares, a line a quality."""
    rows = []
    for one in results:
        total = max(one.fields, 1)
        rows.append([one.quality, str(one.forms), str(one.fields), f"{one.right / total:.2%}", f"{one.flagged / total:.2%}",
                     f"{one.wrong / total:.2%}", f"{(one.right + one.flagged) / total:.2%}",
                     f"{one.clean / max(one.forms, 1):.1%}", f"{one.needless / total:.2%}", str(one.unrecognised)])
    table("generated referrals", ["quality", "forms", "fields", "right", "flagged", "silently wrong", "right or flagged",
                                  "forms without a question", "needless flags", "not recognised"], rows)


def main(
    count: Annotated[int, typer.Option(help="Forms of each quality.")] = 300,
    quality: Annotated[list[Quality] | None, typer.Option(help="Only these.")] = None,
    calibrate: Annotated[bool, typer.Option("--calibrate", help="Make the curves anew, and write them.")] = False,
    threshold: Annotated[int, typer.Option(help="Of the review, in thousandths.")] = Policy().threshold,
    verbose: Annotated[bool, typer.Option("--verbose", help="Name every field that is silently wrong.")] = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Accuracy on generated forms, and promised precision against observed."""
    mapping = _mapping()
    if calibrate:
        CURVES.write_text(trust.written(learn(mapping, LEARN)), encoding="utf-8")
        mapping = _mapping()
    seeds, chosen = range(JUDGE, JUDGE + count), list(quality or Quality)
    results = [judge(mapping, one, seeds, Policy(threshold=threshold)) for one in chosen]
    show(results)
    every = [one for each in chosen for one in samples(mapping, each, seeds)]
    table("promised precision against observed, on forms that the curves do not know",
          ["promised", "readings", "mean promise", "observed"],
          [[f"{one.low:.2f} to {one.high:.2f}", str(one.readings), f"{one.promised:.2%}", f"{one.observed:.2%}"]
           for one in trust.compared(mapping.calibration, every)])
    for one in results if verbose else ():
        console.print(one.quality, one.flags.most_common(12), one.by_field.most_common(8))
        console.print("\n".join(one.errors))
    if as_json:
        emit({"results": [msgspec.to_builtins(one) for one in results]})


def _mapping() -> DocumentMapping:
    return cast("DocumentMapping", tables(MAPPINGS).mapping(TABLE))


if __name__ == "__main__":
    typer.run(main)
