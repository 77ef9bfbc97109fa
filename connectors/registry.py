"""Every connector there is, by name and direction; their settings as JSON Schema and as a page of text.

A new connector is one folder with a spec, and one line here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from connectors.base import ConnectorSpec
from connectors.core.spec import CORE_IN, CORE_OUT
from connectors.fax.spec import UNPACK_OUT
from connectors.fhir.spec import FHIR_OUT
from connectors.file.spec import FILE_IN, FILE_OUT
from connectors.hl7v2.spec import MLLP_IN, MLLP_OUT
from connectors.http.spec import HTTP_IN, HTTP_OUT
from connectors.inside import ANSWERS_IN
from connectors.mail.spec import MAIL_IN
from connectors.ocr.spec import OCR_OUT
from connectors.sftp.spec import SFTP_IN, SFTP_OUT

#: By (name, direction); direction is ``in`` or ``out``.
CONNECTORS: Final[Mapping[tuple[str, str], ConnectorSpec[Any]]] = {
    (spec.name, spec.direction): spec
    for spec in (MLLP_IN, HTTP_IN, FILE_IN, MLLP_OUT, HTTP_OUT, FHIR_OUT, FILE_OUT, CORE_OUT,
                 SFTP_OUT, OCR_OUT, UNPACK_OUT, ANSWERS_IN, MAIL_IN, SFTP_IN, CORE_IN)}


def schema(spec: ConnectorSpec[Any]) -> dict[str, Any]:
    """JSON Schema (2020-12) of a connector's settings."""
    return msgspec.json.schema(spec.settings)


def page() -> str:
    """The reference of all connectors and their settings, in Markdown (``docs/connectors.md``)."""
    lines = ["# Connectors", "",
             "Every channel and destination names one under `connector`; its keys stand under `settings`.", ""]
    for spec in CONNECTORS.values():
        document = schema(spec)
        definitions = document["$defs"]
        lines += [f"## `{spec.name}` {spec.direction}", "", f"{spec.summary}.", "",
                  *_table(spec.settings.__name__, definitions), ""]
        for name in _used(spec.settings.__name__, definitions):
            definition = definitions[name]
            tag = definition.get("properties", {}).get("type")
            tag = f" (`type: {tag['enum'][0]}`)" if tag else ""
            lines += [f"### {spec.name} {spec.direction}: {name}{tag}", "",
                      *_paragraph(definition), *_table(name, definitions), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _table(name: str, definitions: Mapping[str, Any]) -> Iterator[str]:
    definition = definitions[name]
    if "enum" in definition:
        yield f"One of {', '.join(f'`{value}`' for value in definition['enum'])}."
        return
    required = definition.get("required", [])
    rows = [(key, value) for key, value in definition.get("properties", {}).items() if key != "type"]
    if not rows:
        return
    yield "| key | meaning | default |"
    yield "|---|---|---|"
    for key, value in rows:
        default = "required" if key in required else _default(value)
        yield f"| `{key}` | {_meaning(value)} | {default} |"


def _meaning(value: Mapping[str, Any]) -> str:
    text = str(value.get("description", ""))
    choices = value.get("enum")
    if choices:
        text += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
    inner = [reference.rpartition("/")[2] for reference in _references(value)]
    if inner:
        text += f" See {', '.join(inner)}."
    return text.strip().replace("|", "\\|")


def _default(value: Mapping[str, Any]) -> str:
    default = value.get("default")
    if default is None or default in ("", [], {}):
        return ""
    if isinstance(default, list):
        default = sorted(default)
    return f"`{msgspec.json.encode(default).decode()}`"


def _paragraph(definition: Mapping[str, Any]) -> list[str]:
    text = definition.get("description", "")
    return [text.splitlines()[0], ""] if text else []


def _used(name: str, definitions: Mapping[str, Any]) -> list[str]:
    """Names of the definitions that one refers to, directly or not, in order."""
    found: list[str] = []
    waiting = [name]
    while waiting:
        for reference in _references(definitions[waiting.pop(0)]):
            inner = reference.rpartition("/")[2]
            if inner not in found:
                found.append(inner)
                waiting.append(inner)
    return found


def _references(node: Any) -> list[str]:
    if isinstance(node, Mapping):
        here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return here + [one for key, value in node.items() if key != "discriminator"
                       for one in _references(value)]
    if isinstance(node, list):
        return [one for value in node for one in _references(value)]
    return []
