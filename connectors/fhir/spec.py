"""What the FHIR family offers to the configuration."""

from __future__ import annotations

from typing import Final

from connectors.base import ConnectorSpec
from connectors.fhir.sender import FhirSender
from connectors.fhir.settings import FhirOut

FHIR_OUT: Final = ConnectorSpec(
    name="fhir", direction="out", settings=FhirOut, build=FhirSender,
    summary="Delivers resources and transactions to a FHIR R4 server")
