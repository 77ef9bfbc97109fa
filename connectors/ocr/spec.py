"""What our own reader offers to the configuration."""

from __future__ import annotations

from typing import Final

from connectors.inside import InsideSpec
from connectors.ocr.process import missing
from connectors.ocr.sender import OcrSender
from connectors.ocr.settings import OcrOut

OCR_OUT: Final = InsideSpec(
    name="ocr", direction="out", settings=OcrOut, build=OcrSender, missing=missing,
    summary="Reads pictures and PDFs in a process of their own; their pages come back through the channel under `responses`")
