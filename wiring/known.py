"""What values on pages are checked against: payers' patterns, and who is known, from files beside the configuration."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from canonical.findings import Finding, Rejection
from mapper import document
from mapper.document import Mark
from mapper.extract.known import Known, KnownPatient, KnownProvider, Listed
from router.site import Documents
from wiring.codes import BAD_KNOWN

P = TypeVar("P", KnownProvider, KnownPatient)
_PLACE: Final = "documents"


def read_files(documents: Documents, folder: Path, marks: Mapping[str, Mark]) -> dict[str, bytes]:
    """The files that the configuration names, by the name it gives them. Raises Rejection, located."""
    read, problems = {}, []
    for key in ("providers", "patients"):
        name = getattr(documents, key)
        if name:
            try:
                read[name] = (folder / name).read_bytes()
            except OSError:
                problems.append(document.located(BAD_KNOWN, marks[f"{_PLACE}.{key}"], "the file cannot be read"))
    if problems:
        raise Rejection(*problems)
    return read


def known(documents: Documents, files: Mapping[str, bytes], marks: Mapping[str, Mark]) -> Known:
    """What the site knows.

    Raises:
        Rejection: every pattern that is none and every row that cannot be used, each located; no text quotes a row.
    """
    problems: list[Finding] = []
    for payer, pattern in documents.payers.items():
        try:
            re.compile(pattern)
        except re.error:
            problems.append(document.located(BAD_KNOWN, marks[f"{_PLACE}.payers.{payer}"], "not a regular expression"))
    providers = _people(documents.providers, files, KnownProvider, "npi", problems)
    patients = _people(documents.patients, files, KnownPatient, "mrn", problems)
    if problems:
        raise Rejection(*problems)
    return Known(payers=documents.payers, master=Listed(providers, patients))


def digests(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What a revision keeps of the files: their hash. Lists of people are no part of what is shown of a revision."""
    return {f"known/{name}": sha256(content).hexdigest().encode() for name, content in files.items()}


def _people(name: str, files: Mapping[str, bytes], kind: type[P], key: str, problems: list[Finding]) -> list[P]:
    if not name:
        return []
    try:
        people = list(_rows(name, files[name], kind))
    except Rejection as rejection:
        problems += [msgspec.structs.replace(found, code=BAD_KNOWN.name) for found in rejection.findings]
        return []
    for number, person in enumerate(people, 1):
        if not getattr(person, key):
            problems.append(document.located(BAD_KNOWN, Mark(name, number, 1), f"entry {number} has no {key}"))
    return people


def _rows(name: str, content: bytes, kind: type[P]) -> Iterator[P]:
    """Raises Rejection."""
    if not name.lower().endswith(".csv"):
        yield from document.to_struct(document.parse(content, name), tuple[kind, ...])  # type: ignore[valid-type]  # a type made from an argument
        return
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        head = next(reader, [])
        fields = kind.__struct_fields__
        wanted = [field.name for field in msgspec.structs.fields(kind) if field.required]
        for column in head:
            if column not in fields:
                raise document.fail(BAD_KNOWN, Mark(name, 1, 1), f"column {head.index(column) + 1} has no use",
                                    document.did_you_mean(column, fields))
        for column in wanted:
            if column not in head:
                raise document.fail(BAD_KNOWN, Mark(name, 1, 1), f"there is no column {column}")
        for row in reader:
            if len(row) != len(head):
                if not row:
                    continue
                raise document.fail(BAD_KNOWN, Mark(name, reader.line_num, 1),
                                    f"{len(row)} cells where the first line has {len(head)}")
            yield kind(**dict(zip(head, (cell.strip() for cell in row), strict=True)))
    except UnicodeDecodeError:
        raise document.fail(BAD_KNOWN, Mark(name, 1, 1), "not UTF-8") from None
    except csv.Error:
        raise document.fail(BAD_KNOWN, Mark(name, reader.line_num, 1), "not CSV") from None
