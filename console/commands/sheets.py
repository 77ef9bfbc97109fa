"""The pages of a tried document as a file to look at."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from canonical.findings import Rejection
from console import person
from console.frame import UserError
from console.screens.sheets import Picture, Sheet
from console.screens.sheets import html as drawn
from console.views.tables import Workbench
from mapper.extract.intake import DocumentMapping

_PICTURES: Final = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


def write(bench: Workbench, name: str, raw: bytes, out: Path | None, picture: Path | None, *, reveal: bool) -> None:
    """Write the file; for its owner's eyes only.

    Raises:
        UserError: the table reads no documents, the options do not fit, or the file cannot be written.
    """
    if out is None:
        raise UserError("--picture and --reveal are for --html OUT", "name the file that shall be written")
    if picture is not None and not reveal:
        raise UserError("--picture shows what stands on the page", "--reveal, if that is wanted")
    mapping = bench.library.mapping(name)
    if not isinstance(mapping, DocumentMapping):
        raise UserError(f"{name}: this table reads no pages", "--html is for tables of documents: documents/referral")
    try:
        source = bench.decode(mapping.format.family, raw)
    except Rejection:
        return  # the findings on the screen say why there is nothing to draw
    today = datetime.fromtimestamp(person.now() / 1e6, UTC).date()
    division, readings = mapping.extract(source, bench.known, today)
    parts = [part for part in division.parts if part.template is not None]
    text = drawn(source, [Sheet(reading, part.pages) for part, reading in zip(parts, readings, strict=True)], name=name,
                 reveal=reveal, picture=_picture(picture, {page.image.sha256 for page in source.pages if page.image}))
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UserError(f"{out}: {error.strerror}") from None


def _picture(path: Path | None, known: set[str]) -> Picture | None:
    if path is None:
        return None
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    kind = next((kind for mark, kind in _PICTURES.items() if raw.startswith(mark)), "")
    if not kind:
        raise UserError(f"{path}: neither PNG nor JPEG", "browsers show no other; without --picture words are drawn")
    digest = hashlib.sha256(raw).hexdigest()
    if digest not in known:
        raise UserError(f"{path}: the pages were not read from this file", "its hash is another one than theirs")
    return Picture(kind, raw, digest)
