"""FHIR R4 for the mapping language: the JSON adapter with the R4 dictionary, and what only FHIR has.

A table means one resource. It reads that resource alone or as the first of its type in a Bundle, and ``resolve(Patient)``
in a path goes on in the resource that a reference points to, be it contained or another entry. Written, such resources
are contained; in a Bundle of type *collection* they are entries of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from connectors.fhir import r4_payers
from connectors.fhir.r4 import R4
from connectors.fhir.references import Gathering, hoisted, itemised, numbered, shared, spread, unfolded
from connectors.json_format import JsonFormat

#: Those that are written together with what they point to.
_WITH_OTHERS: Final = frozenset(r4_payers.TYPES)
_BUNDLE: Final = "Bundle"
#: Its items are cut differently by payers and by us.
_ANSWER: Final = "CoverageEligibilityResponse"
_CLAIMS: Final = frozenset({"Claim", "ClaimResponse"})


class FhirFormat(JsonFormat):
    """The format family ``fhir``."""

    def __init__(self) -> None:
        super().__init__("fhir", R4)

    def root(self, wire: Any, name: str) -> Any:
        """See ``mapper.format.Format``."""
        if _several(wire, name):
            wire = Gathering(wire, name).focus
        found = super().root(wire, name)
        return unfolded(found) if name == _ANSWER else found

    def finish(self, node: dict[str, Any], name: str, set_ids: Sequence[str]) -> dict[str, Any]:
        """See ``mapper.format.Format``."""
        if name == _BUNDLE:
            return spread(node) if node.get("type") == "collection" else node
        if name == _ANSWER:
            node = itemised(node)
        if name in _CLAIMS:
            node = shared(numbered(node, set_ids))
        return hoisted(node) if name in _WITH_OTHERS else node

    def leaves(self, wire: Any, name: str) -> list[str]:
        """See ``mapper.format.Format``."""
        return list(Gathering(wire, name).leaves()) if _several(wire, name) else super().leaves(wire, name)


def _several(wire: Any, name: str) -> bool:
    """Whether more than the resource itself is in a message."""
    if not isinstance(wire, dict):
        return False
    return "contained" in wire or (wire.get("resourceType") == _BUNDLE and name != _BUNDLE)


def fhir_format() -> FhirFormat:
    """The format family ``fhir``."""
    return FhirFormat()
