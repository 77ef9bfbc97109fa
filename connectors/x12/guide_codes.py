"""What can be wrong with a transaction set in the eyes of its guide, and what a 999 calls it.

The numbers are those of data elements 620 (IK304) and 621 (IK403) of 005010X231A1.
"""

from __future__ import annotations

from typing import Final

from canonical.findings import Severity, declare

_ASK: Final = "Have the sender correct it; where a partner always does so, name this code under `tolerate` in its profile."

SEGMENT_UNKNOWN: Final = declare(
    "x12.segment_unknown", Severity.ERROR, "The standard has no such segment", _ASK)
SEGMENT_UNEXPECTED: Final = declare(
    "x12.segment_unexpected", Severity.ERROR, "The guide does not have this segment here", _ASK)
SEGMENT_SEQUENCE: Final = declare(
    "x12.segment_sequence", Severity.ERROR, "The guide has this segment earlier in the loop", _ASK)
SEGMENT_MISSING: Final = declare(
    "x12.segment_missing", Severity.ERROR, "A segment that the guide requires is missing", _ASK)
SEGMENT_REPEATS: Final = declare(
    "x12.segment_repeats", Severity.ERROR, "A segment is there more often than the guide allows", _ASK)
LOOP_MISSING: Final = declare(
    "x12.loop_missing", Severity.ERROR, "A loop that the guide requires is missing", _ASK)
LOOP_REPEATS: Final = declare(
    "x12.loop_repeats", Severity.ERROR, "A loop is there more often than the guide allows", _ASK)
HIERARCHY: Final = declare(
    "x12.hierarchy", Severity.ERROR,
    "An HL is not numbered from 1 in steps of 1, or names a parent that is not there or cannot be one", _ASK)
ELEMENT_MISSING: Final = declare(
    "x12.element_missing", Severity.ERROR, "An element that the guide requires is empty", _ASK)
ELEMENT_CONDITIONAL: Final = declare(
    "x12.element_conditional", Severity.ERROR, "An element must be there because another one is", _ASK)
ELEMENT_EXCLUDED: Final = declare(
    "x12.element_excluded", Severity.ERROR, "Two elements exclude each other, and both are there", _ASK)
ELEMENT_TOO_MANY: Final = declare(
    "x12.element_too_many", Severity.ERROR, "The segment has more elements than the standard knows", _ASK)
ELEMENT_COMPONENTS: Final = declare(
    "x12.element_components", Severity.ERROR, "A composite has more components than the standard knows", _ASK)
ELEMENT_REPETITIONS: Final = declare(
    "x12.element_repetitions", Severity.ERROR, "An element is repeated that may not be repeated", _ASK)
ELEMENT_SHORT: Final = declare(
    "x12.element_short", Severity.ERROR, "A value is shorter than its data element allows", _ASK)
ELEMENT_LONG: Final = declare(
    "x12.element_long", Severity.ERROR, "A value is longer than its data element allows", _ASK)
ELEMENT_NUMBER: Final = declare(
    "x12.element_number", Severity.ERROR, "A number is not written as X12 writes numbers", _ASK)
ELEMENT_CODE: Final = declare(
    "x12.element_code", Severity.ERROR, "A code is not among those of the guide", _ASK)
ELEMENT_DATE: Final = declare(
    "x12.element_date", Severity.ERROR, "A date or period is not written as its format qualifier says", _ASK)
ELEMENT_TIME: Final = declare(
    "x12.element_time", Severity.ERROR, "A time is not HHMM, HHMMSS or HHMMSS with decimals", _ASK)
ELEMENT_NOT_USED: Final = declare(
    "x12.element_not_used", Severity.WARNING, "An element is there that the guide does not use",
    "It was kept and no mapping reads it; have the sender leave it out.")
NO_GUIDE: Final = declare(
    "x12.no_guide", Severity.INFO,
    "There is no guide for this kind of transaction set: only its envelope was checked",
    "Nothing to do: it is routed as it came. A guide is a file in `connectors/x12/guides`.")

#: Finding code -> IK304.
SEGMENT_NOTE: Final = {
    SEGMENT_UNKNOWN.name: "1", SEGMENT_UNEXPECTED.name: "2", SEGMENT_MISSING.name: "3", LOOP_MISSING.name: "3",
    LOOP_REPEATS.name: "4", SEGMENT_REPEATS.name: "5", SEGMENT_SEQUENCE.name: "7", "x12.not_a_segment": "1",
}
#: Finding code -> IK403. A code that another guide knows for the same data element is I6 instead of 7.
ELEMENT_NOTE: Final = {
    ELEMENT_MISSING.name: "1", ELEMENT_CONDITIONAL.name: "2", ELEMENT_TOO_MANY.name: "3", ELEMENT_SHORT.name: "4",
    ELEMENT_LONG.name: "5", "x12.character": "6", ELEMENT_NUMBER.name: "6", ELEMENT_CODE.name: "7",
    ELEMENT_DATE.name: "8", ELEMENT_TIME.name: "9", ELEMENT_EXCLUDED.name: "10", ELEMENT_REPETITIONS.name: "12",
    ELEMENT_COMPONENTS.name: "13", ELEMENT_NOT_USED.name: "I10", HIERARCHY.name: "I12",
}
CODE_OF_ANOTHER_GUIDE: Final = "I6"
HAS_ELEMENT_ERRORS: Final = "8"
