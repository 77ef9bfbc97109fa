"""The piece of a page's picture that a field was read from, as a PNG for a person to look at (A1.2).

The picture came from outside and is as hostile here as when it was read: it is opened in a process of its own that gives
up the same things (`connectors.ocr.prison`), and only a new, small PNG comes back. The page is turned and straightened as it
was for reading, so that the box fits.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import sys
from typing import BinaryIO, Final

import msgspec
from PIL import Image, TiffImagePlugin

from canonical.document import PageBox
from canonical.findings import Rejection, finding
from canonical.page import PageImage
from connectors.fax.sniff import Media, sniff
from connectors.ocr import prison
from connectors.ocr.clean import clean, grey, resolution
from connectors.ocr.codes import DAMAGED, TOO_MANY_PIXELS
from connectors.ocr.pdf import Pdf
from connectors.ocr.picture import TURNS
from connectors.ocr.process import ENVIRONMENT, ROOT
from connectors.ocr.settings import OcrOut

Image.MAX_IMAGE_PIXELS = None  # we look ourselves, before anything is decoded
#: What is shown around the box, in thousandths of the page.
AROUND: Final = (60, 12)
_SECONDS: Final = 60.0
_NOWHERE: Final = PageImage()
_FORMATS: Final = (TiffImagePlugin.TiffImageFile.format, "PNG", "JPEG")


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """Which piece."""

    box: PageBox
    index: int
    """Of the page in its file, from 0."""
    rotation: int
    """Clockwise degrees that make it upright."""
    max_pixels: int
    max_objects: int
    memory_mb: int


async def crop(raw: bytes, box: PageBox, index: int, rotation: int) -> bytes:
    """A PNG.

    Args:
        raw: the document as it came.
        box: on the upright page.
        index: of the page in the document, from 0.
        rotation: `canonical.page.Page.rotation`.

    Raises:
        Rejection: there is no picture to be had of it.
    """
    limits = OcrOut()
    cut = Cut(box=box, index=index, rotation=rotation, max_pixels=limits.max_pixels, max_objects=limits.max_objects,
              memory_mb=limits.memory_mb)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-s", "-X", "utf8", "-m", "connectors.ocr.crop", stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=ROOT, env=ENVIRONMENT)
    try:
        async with asyncio.timeout(_SECONDS):
            made, _ = await process.communicate(msgspec.json.encode(cut) + b"\n" + raw)
    except TimeoutError:
        made = b""
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode or not made:
        raise Rejection(finding(DAMAGED, at=f"page {index + 1}"))
    return made


def cut_out(cut: Cut, raw: bytes) -> Image.Image:
    """In the process: the piece. Raises `Rejection`, and whatever a library raises for a hostile file."""
    if sniff(raw) is Media.PDF:
        pdf = Pdf(raw)
        picture = pdf.draw(pdf.page(cut.index + 1, _NOWHERE, cut.max_objects)[0], cut.index + 1, cut.max_pixels)
    else:
        picture = Image.open(io.BytesIO(raw), formats=_FORMATS)
        picture.seek(cut.index)
        if picture.width * picture.height > cut.max_pixels:
            raise Rejection(finding(TOO_MANY_PIXELS))
    dpi = resolution(picture.width, picture.height, picture.info.get("dpi"))
    shades = grey(picture)
    if cut.rotation in TURNS:
        shades = shades.transpose(TURNS[cut.rotation])
        dpi = dpi if cut.rotation == 180 else (dpi[1], dpi[0])
    upright = clean(shades, dpi, cut.max_pixels).picture
    wide, tall = AROUND
    box = cut.box
    edges = (box.left - wide, box.top - tall, box.left + box.width + wide, box.top + box.height + tall)
    left, top, right, bottom = (min(max(edge, 0), 1000) * side // 1000
                                for edge, side in zip(edges, (*upright.size, *upright.size), strict=True))
    return upright.crop((left, top, max(right, left + 1), max(bottom, top + 1)))


def main(source: BinaryIO, sink: BinaryIO) -> None:
    """Cut a piece out of the document in `source`."""
    cut = msgspec.json.decode(source.readline(), type=Cut)
    Image.preinit()
    prison.enter(cut.memory_mb, _SECONDS, 10)
    out = io.BytesIO()
    cut_out(cut, source.read()).save(out, "PNG")
    sink.write(out.getvalue())
    sink.flush()


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        main(sys.stdin.buffer, answers)
