"""A person's value is judged by the checks that judged the machine's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from canonical.document import Extracted, Validation
from mapper.extract import validators


def _date(field: Extracted, value: str) -> Validation:
    return validators.plausible(value, birth=field.field.endswith("birth_date"), today=datetime.now(UTC).date())


#: By the name under which a validator leaves its word. Those that need master data or a code table that only the
#: extraction has are not asked again: they cannot tell.
_CHECKS: Final[Mapping[str, Callable[[Extracted, str], Validation]]] = {
    "npi": lambda _, value: validators.npi(value),
    "date": _date,
    "phone": lambda _, value: validators.phone(value),
    "name": lambda _, value: validators.name(value),
    "icd10.shape": lambda _, value: validators.coded(value, "icd10", None)[0],
    "procedure.shape": lambda _, value: validators.coded(value, "procedure", None)[0],
}


def recheck(field: Extracted, value: str) -> Sequence[Validation]:
    """What the checks of a field say of another value (`router.desk.Recheck`)."""
    names = dict.fromkeys(one.validator for one in field.validations or ())
    return tuple(_CHECKS[name](field, value) if name in _CHECKS else validators.unsure(name) for name in names)
