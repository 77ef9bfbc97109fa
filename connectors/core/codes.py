"""What CORE connectivity can find. The layer is part of the code: transport findings are those of HTTP."""

from __future__ import annotations

from typing import Final

from canonical.findings import Code, Severity, declare

NO_ENVELOPE: Final[Code] = declare(
    "core.no_envelope", Severity.ERROR,
    "the payer answered with something that is not a CORE envelope",
    "Look at the answer kept with this attempt: is it a page of a proxy, or another version of the rule?")
ENVELOPE: Final[Code] = declare(
    "core.envelope_refused", Severity.FATAL,
    "the payer refused the CORE envelope of this message",
    "The error code names the field: correct the setting of that name, or agree on it with the payer.")
ACCESS: Final[Code] = declare(
    "core.unauthorized", Severity.FATAL,
    "the payer does not accept our user name or certificate",
    "Renew the secret under submitter (or the certificate); then resume the destination.")
PAYER_AWAY: Final[Code] = declare(
    "core.payer_unavailable", Severity.WARNING,
    "the payer's system says that it cannot process now",
    "Nothing to do: it is tried again by itself, not before 90 seconds have passed.")
DAMAGED: Final[Code] = declare(
    "core.damaged", Severity.WARNING,
    "length or checksum of a payload do not match the envelope",
    "It is fetched or sent again; if it happens again, ask the payer which bytes the sum is made of.")
INTERCHANGE: Final[Code] = declare(
    "core.interchange_rejected", Severity.FATAL,
    "the payer rejected the interchange (TA1): nothing in it was looked at",
    "Never repeated unchanged. Look up the TA1 note code, correct the partner's settings or the data, replay.")
SET: Final[Code] = declare(
    "core.set_rejected", Severity.FATAL,
    "the payer rejected the transaction set (999): it breaks the implementation guide",
    "Never repeated unchanged. Read IK3 and IK4 of the answer kept, correct the mapping or the data, replay.")
NO_ANSWER: Final[Code] = declare(
    "core.no_answer", Severity.ERROR,
    "the envelope came back in good order but without an answer in it",
    "Ask the payer what became of it; the payload id tells which one it was.")
NOT_X12: Final[Code] = declare(
    "core.not_x12", Severity.FATAL,
    "the message to be sent is not an X12 interchange, or holds what this envelope cannot carry",
    "Use a mapping that writes X12; characters below space do not pass in SOAP.")
SLOW: Final[Code] = declare(
    "core.slow", Severity.WARNING,
    "the payer took longer than the operating rule allows (20 seconds)",
    "The answer was taken. If it is frequent, tell the payer: the rule wants 90 % within 20 seconds.")
