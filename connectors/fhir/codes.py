"""What the FHIR edge can find."""

from __future__ import annotations

from typing import Final

from canonical.findings import Code, Severity, declare

BODY: Final[Code] = declare(
    "fhir.body", Severity.FATAL,
    "the outgoing body is not a FHIR resource in JSON",
    "Correct the mapping that writes this destination; try it with `dragoman try`.")
REFUSED: Final[Code] = declare(
    "fhir.refused", Severity.FATAL,
    "the server refused the content",
    "Read the OperationOutcome kept with this attempt, correct the data or the mapping, and replay.")
TRANSIENT: Final[Code] = declare(
    "fhir.transient", Severity.WARNING,
    "the server says that it cannot do this now",
    "Nothing to do: it is tried again by itself. Tell the server's support if it is frequent.")
ACCESS: Final[Code] = declare(
    "fhir.access", Severity.FATAL,
    "the server does not grant us this operation",
    "Renew the secret or have the scope granted, then resume the destination.")
CONFLICT: Final[Code] = declare(
    "fhir.conflict", Severity.WARNING,
    "the server says that the write conflicts with its present state",
    "It is tried again; if it stays so, compare what the server holds with the message.")
DUPLICATE: Final[Code] = declare(
    "fhir.duplicate", Severity.FATAL,
    "the server holds a resource with this identifier and other content",
    "Compare both: if the server's is right, skip the message; otherwise send it as an update.")
AMBIGUOUS: Final[Code] = declare(
    "fhir.ambiguous", Severity.FATAL,
    "several resources at the server match the condition",
    "Have the duplicates merged at the server (a task for master data management), then replay.")
STALE: Final[Code] = declare(
    "fhir.stale", Severity.FATAL,
    "the server holds a newer version than the one this update was made from",
    "Look at both versions; replay the message so that it is made from the newer one.")
ENTRY: Final[Code] = declare(
    "fhir.entry", Severity.FATAL,
    "an entry of the batch was refused while others were done",
    "Read the response kept with this attempt; prefer transaction where the server offers it.")
STRUCTURE: Final[Code] = declare(
    "fhir.structure", Severity.ERROR,
    "the resource does not have the structure of FHIR R4",
    "Correct the mapping row that writes this element.")
BINDING: Final[Code] = declare(
    "fhir.binding", Severity.ERROR,
    "the code is not in the value set that FHIR R4 requires here",
    "Add the source's code to the code table that this mapping row uses.")
INVARIANT: Final[Code] = declare(
    "fhir.invariant", Severity.ERROR,
    "the resource breaks a rule of FHIR R4",
    "The rule is named in the detail; correct the mapping rows that write the elements it speaks of.")
