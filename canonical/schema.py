"""The canonical model as JSON and as JSON Schema.

The JSON form is an RFC 7396 merge patch (`canonical.presence`): a missing key is *not stated*, ``null`` is
*cleared*. The schemas are generated from the model, published under ``docs/schemas`` and compared there by a
test, so that a change of the model is a visible change of a file that subscribers read.

``python -m canonical.schema`` writes the published files.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar

import msgspec

from canonical import authorization, claim_status, coverage, document, event, findings, model, query, referral, task
from canonical.entities import MODULES

T = TypeVar("T")

#: Version of the published schemas: raised when a reader of the old one could misread the new one.
VERSION: Final = "1"
#: Base of the schemas' ``$id``.
BASE: Final = "https://dragoman.example/schemas/"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
PUBLISHED: Final = Path(__file__).parent.parent / "docs" / "schemas"

_ROOTS: Final[dict[str, type]] = {
    "patient": model.Patient,
    "appointment": model.Appointment,
    "slot": model.Slot,
    "practitioner": model.Practitioner,
    "location": model.Location,
    "appointment-request": referral.AppointmentRequest,
    "referral": referral.Referral,
    "coverage": coverage.Coverage,
    "eligibility-check": coverage.EligibilityCheck,
    "authorization": authorization.Authorization,
    "claim-status-check": claim_status.ClaimStatusCheck,
    "document": document.Document,
    "work-task": task.WorkTask,
    "charge": coverage.Charge,
    "query": query.Query,
    "acknowledgement": query.Acknowledgement,
    "event": event.Event,
    "finding": findings.Finding,
}


def to_json(value: msgspec.Struct) -> bytes:
    """The JSON form of a canonical value: same value, same bytes. PHI leaves its mask here."""
    return msgspec.json.encode(value, order="deterministic")


def from_json(raw: bytes | str, kind: type[T]) -> T:
    """Read the JSON form back.

    Raises:
        msgspec.ValidationError: `raw` is not a `kind`. Its text names places and types, but may quote an
            enumerated value: treat it as PHI.
    """
    return msgspec.json.decode(raw, type=kind)


def schemas() -> dict[str, dict[str, Any]]:
    """The published schemas by file name (``appointment-1.json``), each complete in itself."""
    return {f"{name}-{VERSION}.json": _schema(name, kind) for name, kind in _ROOTS.items()}


def render(schema: dict[str, Any]) -> str:
    """A schema as the text of its file."""
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def _schema(name: str, kind: type) -> dict[str, Any]:
    (root,), parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    described = {part: _described(part, body) for part, body in sorted(parts.items())}
    return {"$schema": DIALECT, "$id": f"{BASE}{name}-{VERSION}.json", **root, "$defs": described}


def _described(name: str, body: dict[str, Any]) -> dict[str, Any]:
    """`body` with the docstrings that stand below the attributes of class `name`."""
    texts = _ATTRIBUTE_TEXTS.get(name, {})
    properties = body.get("properties")
    if not properties or not texts:
        return body
    return {**body, "properties": {
        field: {**shape, "description": texts[field]} if field in texts else shape
        for field, shape in properties.items()}}


def _attribute_texts(*modules: ModuleType) -> dict[str, dict[str, str]]:
    """Class name -> attribute -> docstring, read from the source (Python keeps no such thing at run time)."""
    found: dict[str, dict[str, str]] = {}
    for module in modules:
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.ClassDef):
                found[node.name] = {
                    field.target.id: inspect.cleandoc(text.value.value)
                    for field, text in zip(node.body, node.body[1:], strict=False)
                    if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
                    and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
                    and isinstance(text.value.value, str)}
    return found


_ATTRIBUTE_TEXTS: Final = _attribute_texts(*MODULES, event, findings)


def publish(folder: Path = PUBLISHED) -> None:
    """Write every schema into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / name).write_text(render(schema), encoding="utf-8")


if __name__ == "__main__":
    publish()
