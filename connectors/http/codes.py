"""What the HTTP edges can find."""

from __future__ import annotations

from typing import Final

from canonical.findings import Code, Severity, declare

UNREACHABLE: Final[Code] = declare(
    "http.unreachable", Severity.WARNING,
    "no connection to the peer could be made; nothing was sent",
    "Check that the peer is up and that url names the right host and port; it is tried again by itself.")
TLS: Final[Code] = declare(
    "http.tls", Severity.WARNING,
    "the TLS handshake with the peer failed; nothing was sent",
    "Check the peer's certificate, tls.ca and tls.cert; it is tried again by itself.")
NO_ANSWER: Final[Code] = declare(
    "http.no_answer", Severity.ERROR,
    "the request left but no complete answer came back; the peer may or may not have acted on it",
    "Ask the peer whether it has the message; declare the destination idempotent if repeating is safe.")
BUSY: Final[Code] = declare(
    "http.busy", Severity.WARNING,
    "the peer asked us to wait",
    "Nothing to do: it is tried again after the time the peer named. Lower max_sessions if it is frequent.")
SERVER_ERROR: Final[Code] = declare(
    "http.server_error", Severity.WARNING,
    "the peer failed while working on the request",
    "Look at the answer kept with this attempt and tell the peer's support; it is tried again by itself.")
REFUSED: Final[Code] = declare(
    "http.refused", Severity.FATAL,
    "the peer refused the content of this message",
    "Read the answer kept with this attempt, correct the data or the mapping, and replay.")
UNAUTHORIZED: Final[Code] = declare(
    "http.unauthorized", Severity.FATAL,
    "the peer does not accept our credentials",
    "Renew the secret named under auth, or have the peer grant the right; then resume the destination.")
WRONG_ENDPOINT: Final[Code] = declare(
    "http.wrong_endpoint", Severity.FATAL,
    "the peer does not offer this operation at this address, or redirects elsewhere",
    "Correct url or method of the destination; redirects are never followed.")
CONFLICT: Final[Code] = declare(
    "http.conflict", Severity.WARNING,
    "the peer says that the request conflicts with its present state",
    "Read the answer kept with this attempt; set on_conflict if this peer uses 409 for duplicates.")
PRECONDITION: Final[Code] = declare(
    "http.precondition", Severity.FATAL,
    "a precondition sent with the request does not hold at the peer",
    "The peer holds a newer version: look at both before replaying.")
EGRESS: Final[Code] = declare(
    "http.egress", Severity.FATAL,
    "the message would have been sent outside the configured url",
    "Correct the mapping that writes the path: it must stay under the destination's url.")
SETTING: Final[Code] = declare(
    "http.setting", Severity.FATAL,
    "a secret named in the settings cannot be read",
    "Set the environment variable or make the file readable to the engine's user; then start again.")
UNAVAILABLE: Final[Code] = declare(
    "http.unavailable", Severity.ERROR,
    "a message could not be stored, so the client was told to come again",
    "Look at the database; nothing is lost if the client repeats the message.")
NO_HEADER: Final[Code] = declare(
    "http.no_header", Severity.ERROR,
    "a body that calls itself HL7 v2 has no readable MSH segment; it was kept and refused",
    "Look at the stored bytes: which program posts to this address, and with the right Content-Type?")
