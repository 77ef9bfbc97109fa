"""Keys: how a subject is named in lanes, aliases and states.

A key is ``KIND:NAMESPACE|VALUE``. It is derived from an identifier, so it is PHI: ledger only, never a log.
The namespace is the assigner as the sender writes it, else the system URI: identifiers of two assigners are
never the same subject, however equal their values.
"""

from __future__ import annotations

from collections.abc import Iterable

from canonical.model import Identifier

#: Identifier types by preference, where a person has several: medical record number first (table HL70203).
_PREFERRED = ("MR", "PI", "PT")

_CHECKS = {"EligibilityCheck": "eligibility", "ClaimStatusCheck": "claim-status"}


def kind_of(entity: str) -> str:
    """The kind that the key of an entity begins with, by the name of its type: ``appointment``; that of a check is as in
    its events."""
    return _CHECKS.get(entity) or entity.lower()


def identifier_key(kind: str, identifier: Identifier) -> str:
    """``patient:MERCY|123``; empty where the identifier has no value."""
    if not identifier.value:
        return ""
    return f"{kind}:{identifier.assigner or identifier.system or ''}|{identifier.value}"


def patient_key(identifiers: Iterable[Identifier] | None) -> str:
    """The key of a person: by the medical record number, else by the first identifier with a value."""
    valued = [identifier for identifier in identifiers or () if identifier.value]
    for wanted in _PREFERRED:
        for identifier in valued:
            if identifier.type == wanted:
                return identifier_key("patient", identifier)
    return identifier_key("patient", valued[0]) if valued else ""
