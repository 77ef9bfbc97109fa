"""Validates acknowledgements with pyx12; JSON in, JSON out. Runs in an environment of its own."""

import io
import json
import logging
import sys
from typing import Any

import pyx12.params
import pyx12.x12n_document

logging.disable(logging.CRITICAL)


def outcome(text: str) -> dict[str, Any]:
    """Whether it is valid, and what pyx12 answers."""
    answer = io.StringIO()
    try:
        valid = pyx12.x12n_document.x12n_document(pyx12.params.params(), io.StringIO(text), answer, None)
    except Exception as error:  # the peer's own faults are its verdict
        return {"ok": False, "why": f"{type(error).__name__}: {error}"}
    return {"ok": bool(valid), "why": "" if valid else answer.getvalue()}


sys.stdout.write(json.dumps([outcome(text) for text in json.load(sys.stdin)]))
