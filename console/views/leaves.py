"""The value of a canonical leaf by the path that lineage gives it: ``participants(0).who.identifiers(1).value``."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

_STEP: Final = re.compile(r"([^.(]+)(?:\(([^)]*)\))?")


def value_at(entity: Any, path: str) -> str:
    """As text; ``(cleared)`` for a cleared one; empty where the path leads nowhere."""
    value = entity
    for name, inside in _STEP.findall(path):
        value = value.get(name) if isinstance(value, dict) else getattr(value, name, msgspec.UNSET)
        if inside:
            value = _inside(value, inside)
        if value is msgspec.UNSET:
            return ""
        if value is None:
            return "(cleared)"
    return _text(value)


def _inside(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return value.get(key, msgspec.UNSET)
    if isinstance(value, tuple) and key.isdigit() and int(key) < len(value):
        return value[int(key)]
    return msgspec.UNSET


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    return msgspec.json.encode(value).decode()
