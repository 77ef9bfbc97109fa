"""The piece of a page that a task asks about, as a picture."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from canonical.document import PageBox
from canonical.findings import Rejection
from canonical.page import PageDocument, from_json
from console.frame import UserError
from store.ledger import Desk
from store.records import StoredTask

Crop = Callable[[bytes, PageBox, int, int], Awaitable[bytes]]
#: Messages between an answer of a person and the pages that it is about.
_DEPTH = 20


async def piece(desk: Desk, task: StoredTask, crop: Crop) -> bytes:
    """A PNG of the place that the task's field was read from.

    Raises:
        UserError: there is none.
    """
    field = next(iter(task.task.evidence or ()), None)
    box = field.box if field is not None else None
    if not isinstance(box, PageBox):
        raise UserError(f"{task.id}: it names no place on a page", "look at the whole document: dragoman show")
    pages = await _pages(desk, task.message_id)
    page = next((one for one in pages.pages if one.number == box.page), None) if pages is not None else None
    image = page.image if page is not None else None
    raw = await desk.raw_bytes(image.message_id) if image is not None and image.message_id else None
    if page is None or image is None or raw is None:
        raise UserError(f"{task.id}: the picture is not here",
                        "only a reading came of this page, or its message has been purged; ask who sent it")
    try:
        return await crop(raw, box, image.index, page.rotation)
    except Rejection as rejection:
        raise UserError(f"{task.id}: {rejection.findings[0].code}", "the picture cannot be opened again") from None


async def _pages(desk: Desk, message_id: str) -> PageDocument | None:
    """The reading that a message is, or follows from."""
    for _ in range(_DEPTH):
        message = await desk.message(message_id) if message_id else None
        if message is None:
            return None
        if message.message_type.startswith("PAGES"):
            try:
                return from_json(await desk.raw_bytes(message.id) or b"")
            except msgspec.DecodeError:  # a reading in another form: it holds no picture
                return None
        message_id = message.parent_id
    return None


def write(path: Path, content: bytes) -> None:
    """Write a file for its owner's eyes only. Raises UserError."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
