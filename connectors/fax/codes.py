"""What can be found about a document or a reading of its pages. Places are pages and paths, never words."""

from __future__ import annotations

from typing import Final

from canonical.findings import Code, Severity, declare

# -- what came ----------------------------------------------------------------------------------------------

UNKNOWN: Final[Code] = declare(
    "fax.unknown_format", Severity.FATAL, "The bytes are no picture, PDF, text or reading of pages that is known.",
    "Look at the stored bytes: what is it, and does it belong to this channel?")
ARCHIVE: Final[Code] = declare(
    "fax.archive", Severity.FATAL, "An archive (zip, gzip and the like) came instead of a document; it is never unpacked.",
    "Ask the sender for the document itself.")
UNSUPPORTED: Final[Code] = declare(
    "fax.unsupported", Severity.FATAL, "The document is of a known kind that is not read here.",
    "Ask the sender for TIFF, PDF, PNG, JPEG or plain text.")
EMPTY: Final[Code] = declare(
    "fax.empty", Severity.FATAL, "The document holds nothing.", "Ask the sender for the document again.")

# -- readings that others made ------------------------------------------------------------------------------

MALFORMED: Final[Code] = declare(
    "page.malformed", Severity.FATAL, "A reading of pages is not in the form of its format.",
    "Look at the stored bytes at the place given: was the end lost, or is it another version of the format?")
NOT_FINISHED: Final[Code] = declare(
    "page.not_finished", Severity.FATAL, "The reading service says that it is not finished; there are no pages yet.",
    "Have the sender wait for the result before it sends it on.")
FAILED: Final[Code] = declare(
    "page.failed", Severity.FATAL, "The reading service says that it failed; there are no pages.",
    "Ask the sender to read the document again, or to send the picture itself.")
INCOMPLETE: Final[Code] = declare(
    "page.incomplete", Severity.FATAL, "The reading is one part of several, and the others are missing.",
    "Have the sender collect all parts (NextToken) into one list before it sends them.")
NO_PAGES: Final[Code] = declare(
    "page.none", Severity.FATAL, "The reading holds no page.", "Look at the stored bytes: is it the right file?")
TOO_MANY: Final[Code] = declare(
    "page.too_many", Severity.FATAL, "The reading holds more pages or words than are taken.",
    "Ask the sender to split the document; the limits are those of the page model's readers.")
OUTSIDE: Final[Code] = declare(
    "page.outside", Severity.WARNING, "Boxes of words lie outside their page; they were cut at its edge.",
    "Harmless for a few pixels; many of them mean that the size of the page is stated wrongly.")
INCONSISTENT: Final[Code] = declare(
    "page.inconsistent", Severity.WARNING, "The reading names parts of itself that are not there; they were left out.",
    "Look whether the sender cut the reading; words, tables or answers may be missing.")
NOT_KEPT: Final[Code] = declare(
    "page.not_kept", Severity.INFO, "The reading holds kinds of facts for which the page model has no place.",
    "Nothing to do; they are in the stored bytes.")
PARTIAL: Final[Code] = declare(
    "page.partial", Severity.WARNING, "The reading service could not read all pages.",
    "Look at the pages named; ask for them again where they matter.")
NO_SIZE: Final[Code] = declare(
    "page.no_size", Severity.WARNING, "The reading does not state the size of a page; it was taken from its words.",
    "Boxes are right among themselves; regions of templates may be shifted. Have the sender state the size.")
PICTURE: Final[Code] = declare(
    "page.picture", Severity.FATAL, "A picture or a PDF came where a reading of pages is expected.",
    "Send pictures through a channel whose table makes document.received, and route that to an `ocr` destination.")
NOT_A_DOCUMENT: Final[Code] = declare(
    "fax.not_a_document", Severity.FATAL, "A reading of pages came where a picture or a PDF is expected.",
    "Choose the channel's table by kind of message: {DOCUMENT: document/received, PAGES: …}.")

# -- documents inside of HL7 v2 messages --------------------------------------------------------------------

NOTHING_INSIDE: Final[Code] = declare(
    "fax.nothing_inside", Severity.ERROR, "The message carries no bytes of a document (OBX-5 of type ED).",
    "Look whether it carries text or a pointer instead; such messages need not be unpacked.")
ENCODING: Final[Code] = declare(
    "fax.encoding", Severity.ERROR, "The bytes of a document in OBX-5 are not in the encoding that ED-4 names.",
    "Ask the sender: ED-4 says Base64, Hex or A, and the characters in ED-5 must be of it.")
INSIDE_TOO_LARGE: Final[Code] = declare(
    "fax.inside_too_large", Severity.ERROR, "A document inside of a message has more bytes than are taken.",
    "Raise max_bytes of the destination if such documents are expected, then replay.")
NO_MESSAGE: Final[Code] = declare(
    "fax.no_message", Severity.FATAL, "The delivery names no message, or one that the ledger does not hold.",
    "Check the destination's table: it must write message_id; purged messages cannot be unpacked again.")
AWAY: Final[Code] = declare(
    "fax.ledger_away", Severity.WARNING, "The ledger could not be reached; nothing was unpacked.",
    "Look at the database; it is tried again by itself.")
