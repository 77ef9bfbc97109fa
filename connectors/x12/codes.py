"""What can be wrong with the form of an interchange (ASC X12.5, X12.6); what guides say is in `guide_codes`."""

from __future__ import annotations

from typing import Final

from canonical.findings import Severity, declare

NO_HEADER: Final = declare(
    "x12.no_header", Severity.FATAL,
    "There is no ISA segment, so this is not an X12 interchange",
    "Look at the stored bytes: is this another format, or was the beginning lost?")
NO_TERMINATOR: Final = declare(
    "x12.no_terminator", Severity.FATAL,
    "The character after ISA16 cannot be a segment terminator, so segments cannot be told apart",
    "Have the sender write a terminator after each segment, the first one at byte 106.")
TOO_LARGE: Final = declare(
    "x12.too_large", Severity.FATAL,
    "A transaction set or segment exceeds the size limit",
    "Is this X12? If the size is right, raise `max_bytes`.")
DELIMITERS: Final = declare(
    "x12.delimiters", Severity.WARNING,
    "The delimiters in ISA are not different punctuation characters; the most likely meaning was taken",
    "Have the sender correct ISA11, ISA16 and the terminator; check composites and repetitions of this message.")
HEADER_WIDTH: Final = declare(
    "x12.header_width", Severity.WARNING,
    "An element of ISA does not have its fixed width",
    "Nothing is lost, but strict receivers refuse it: have the sender pad the elements of ISA.")
BEFORE_HEADER: Final = declare(
    "x12.text_before_header", Severity.WARNING,
    "There is text before an ISA segment; it was kept and not read",
    "Have the sender begin the interchange with ISA.")
OUTSIDE: Final = declare(
    "x12.outside_set", Severity.ERROR,
    "A segment stands outside every transaction set or functional group",
    "Ask the sender whether ST, SE or GS was lost; the segment was kept and not read.")
NOT_A_SEGMENT: Final = declare(
    "x12.not_a_segment", Severity.ERROR,
    "Text between two terminators does not begin with a segment identifier",
    "Usually a terminator inside a value: have the sender choose other delimiters.")
NO_TRAILER: Final = declare(
    "x12.no_trailer", Severity.ERROR,
    "A trailer is missing: the interchange, group or set does not end",
    "Was the file cut off? Ask the sender to repeat it.")
CONTROL_MISMATCH: Final = declare(
    "x12.control_mismatch", Severity.ERROR,
    "The control number of a trailer is not that of its header",
    "Have the sender correct it; with the policy `lenient` of the partner it is a warning.")
COUNT: Final = declare(
    "x12.count", Severity.ERROR,
    "The count in a trailer is not what is there",
    "Was something lost on the way? Compare with the sender; with the policy `lenient` of the partner it is a warning.")
CONTROL_NUMBER: Final = declare(
    "x12.control_number", Severity.ERROR,
    "A control number is not valid, or is there twice in the same interchange or group",
    "Have the sender number ISA13 with nine digits and GS06 and ST02 uniquely.")
DUPLICATE: Final = declare(
    "x12.duplicate_interchange", Severity.ERROR,
    "An interchange with this control number came from this sender before, with other content",
    "Ask the sender whether its numbers were reset; the new content was refused with TA1 note 025.")
HEADER_VALUE: Final = declare(
    "x12.header_value", Severity.ERROR,
    "An element of ISA or GS is not valid, or not what was agreed with this partner",
    "Compare the partner's profile with ISA and GS of this interchange.")
USAGE: Final = declare(
    "x12.usage_indicator", Severity.ERROR,
    "ISA15 says test where this endpoint takes production data, or the other way round",
    "Test data goes to the test endpoint; correct ISA15 or the address.")
GROUP_MISMATCH: Final = declare(
    "x12.group_mismatch", Severity.ERROR,
    "The functional group does not fit its transaction sets: GS01 or GS08 against ST01 or ST03",
    "Have the sender put each kind of transaction set into its own group (GS01 HS for 270, HB for 271 …).")
ACKNOWLEDGED: Final = declare(
    "x12.acknowledgement", Severity.INFO,
    "A TA1, 999 or 997: it is kept, and no table reads it",
    "Nothing to do for the message; where it says R, see what became of the question.")
UNACKNOWLEDGED: Final = declare(
    "x12.acknowledgement_overdue", Severity.WARNING,
    "A partner has not acknowledged a batch (999 or TA1) in the time that its profile gives it",
    "Was the batch taken? Ask the partner for the control numbers; see `dragoman hours`.")
UNANSWERED: Final = declare(
    "x12.answers_overdue", Severity.WARNING,
    "A partner has not answered a batch by the time that its profile says",
    "Ask the partner whether its batch ran late; an answer that comes later still counts. See `dragoman hours`.")
CHARACTER: Final = declare(
    "x12.character", Severity.ERROR,
    "A value holds characters outside the character set agreed with this partner",
    "Set the partner's `characters` to extended or any, or correct the data at its source.")
DELIMITER_IN_DATA: Final = declare(
    "x12.delimiter_in_data", Severity.ERROR,
    "A value to be written holds a delimiter, and no other delimiters are allowed for this partner",
    "Correct the value, or let the partner's `delimiters` be chosen freely.")
