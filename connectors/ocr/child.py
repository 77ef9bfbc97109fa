"""The reading process: ``python -m connectors.ocr.child``. One document, then it ends.

It trusts nothing of the document and nothing trusts it: see `connectors.ocr.prison` for what it gives up,
`connectors.ocr.wire` for what it says, `connectors.ocr.process` for who watches it.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from canonical.findings import Finding, Rejection, finding
from canonical.page import PageImage
from connectors.fax.sniff import Media, sniff
from connectors.ocr import prison
from connectors.ocr.codes import CRASHED, DAMAGED, ENGINE, TOO_MANY_PAGES, TOO_MANY_PIXELS, TOO_MUCH_MEMORY
from connectors.ocr.engine import Engine
from connectors.ocr.pdf import Pdf
from connectors.ocr.picture import read_picture
from connectors.ocr.wire import Begun, Done, Left, Order, Read, Step, encoder, orders

Image.MAX_IMAGE_PIXELS = None  # we look ourselves, before anything is decoded
_FORMATS = (TiffImagePlugin.TiffImageFile.format, "PNG", "JPEG")


class Reader:
    """Reads the pages of one document.

    Args:
        order: what to read.
        raw: the document.
    """

    def __init__(self, order: Order, raw: bytes) -> None:
        self._order = order
        self._raw = raw
        self._engine: Engine | None = None

    def steps(self) -> Iterator[Step]:
        """What there is to say, as it comes."""
        try:
            yield from self._pdf() if sniff(self._raw) is Media.PDF else self._picture()
        except Rejection as rejection:
            yield Left(0, rejection.findings[0])
        except MemoryError:
            yield Left(0, finding(TOO_MUCH_MEMORY))
        except Exception as error:  # a defect of ours or of a library costs one document
            yield Left(0, _crash(error, ""))
        yield Done()

    def _picture(self) -> Iterator[Step]:
        with self._opened() as image:
            number = 0
            while True:
                number += 1
                try:
                    image.seek(number - 1)
                except EOFError:
                    return
                except (OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError):
                    yield Left(number, finding(DAMAGED, at=f"page {number}"))
                    return
                if number > self._order.last:
                    yield Left(number, self._more())
                    return
                if number >= self._order.first:
                    yield Begun(number)
                    yield self._step(image, number)

    def _opened(self) -> Image.Image:
        try:
            return Image.open(io.BytesIO(self._raw), formats=_FORMATS)
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError,
                OverflowError, Image.DecompressionBombError):
            raise Rejection(finding(DAMAGED)) from None

    def _step(self, image: Image.Image, number: int) -> Step:
        at = f"page {number}"
        if image.width * image.height > self._order.max_pixels:
            return Left(number, finding(TOO_MANY_PIXELS, at=at, detail=f"{image.width} x {image.height} dots"))
        try:
            image.load()
        except MemoryError:
            return Left(number, finding(TOO_MUCH_MEMORY, at=at))
        except (OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, OverflowError, EOFError):
            return Left(number, finding(DAMAGED, at=at))
        return self._ocr(image, number)

    def _pdf(self) -> Iterator[Step]:
        pdf = Pdf(self._raw)
        for number in range(self._order.first, min(len(pdf), self._order.last) + 1):
            yield Begun(number)
            try:
                page, layer = pdf.page(number, self._source(number), self._order.max_objects)
                if layer is not None:
                    yield Read(layer, by_ocr=False)
                else:
                    yield self._ocr(pdf.draw(page, number, self._order.max_pixels), number)
            except Rejection as rejection:
                yield Left(number, rejection.findings[0])
            except MemoryError:
                yield Left(number, finding(TOO_MUCH_MEMORY, at=f"page {number}"))
        if len(pdf) > self._order.last:
            yield Left(self._order.last + 1, self._more())

    def _ocr(self, image: Image.Image, number: int) -> Step:
        if self._engine is None:
            try:
                if not self._order.tessdata:
                    raise ImportError
                self._engine = Engine(self._order.tessdata, self._order.languages)
            except (ImportError, RuntimeError):
                return Left(number, finding(ENGINE, at=f"page {number}"))
        try:
            return Read(read_picture(image, number, self._source(number), self._engine, self._order.max_pixels), by_ocr=True)
        except MemoryError:
            return Left(number, finding(TOO_MUCH_MEMORY, at=f"page {number}"))
        except Exception as error:  # as above: one page
            return Left(number, _crash(error, f"page {number}"))

    def _source(self, number: int) -> PageImage:
        return PageImage(message_id=self._order.message_id, sha256=self._order.sha256, index=number - 1)

    def _more(self) -> Finding:
        return finding(TOO_MANY_PAGES, at=f"page {self._order.last + 1}",
                       detail=f"it has more than the {self._order.last} pages that are read")


def _crash(error: Exception, at: str) -> Finding:
    """Type and innermost place of an exception, never its text: it may quote the document (invariant 12)."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}" if trace is not None else ""
    return finding(CRASHED, at=at, detail=f"{type(error).__name__}{where}")


def main(source: BinaryIO, sink: BinaryIO) -> None:
    """Read one document from `source` and tell `sink`."""
    order = orders.decode(source.readline())
    # Everything that is loaded when first needed is loaded now: inside, no file of ours can be read.
    Image.preinit()
    if order.tessdata:
        with contextlib.suppress(ImportError):
            importlib.import_module("tesserocr")
    prison.enter(order.memory_mb, order.document_s, order.priority)
    reader = Reader(order, source.read())
    for step in reader.steps():
        sink.write(encoder.encode(step) + b"\n")
        sink.flush()


if __name__ == "__main__":
    # Libraries that chat do so to nobody: what was standard output is ours alone.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        main(sys.stdin.buffer, answers)
