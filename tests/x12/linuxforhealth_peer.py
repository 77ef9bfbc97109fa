"""Reads interchanges with linuxforhealth-x12; JSON in, JSON out. Runs in an environment of its own."""

import json
import sys
from typing import Any

from linuxforhealth.x12.io import X12ModelReader


def loops(node: dict[str, Any]) -> list[Any]:
    """The tree of loops of a model: [[id, [inner …]] …]."""
    return [[key[5:].upper(), loops(each)] for key, value in node.items() if key.startswith("loop_") and value is not None
            for each in (value if isinstance(value, list) else [value])]


def outcome(text: str) -> dict[str, Any]:
    """Whether it takes the interchange, and what it made of it."""
    try:
        with X12ModelReader(text) as reader:
            models = list(reader.models())
        return {"ok": bool(models), "loops": [loops(json.loads(each.json())) for each in models]}
    except Exception as error:  # the peer's own faults are its verdict
        return {"ok": False, "why": type(error).__name__}


sys.stdout.write(json.dumps([outcome(text) for text in json.load(sys.stdin)]))
