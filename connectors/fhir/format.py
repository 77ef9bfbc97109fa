"""FHIR R4 for the mapping language: the JSON adapter with the R4 dictionary."""

from __future__ import annotations

from connectors.fhir.r4 import R4
from connectors.json_format import JsonFormat


def fhir_format() -> JsonFormat:
    """The format family ``fhir``."""
    return JsonFormat("fhir", R4)
