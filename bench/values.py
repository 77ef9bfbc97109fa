"""msgspec structs or pydantic models for canonical values? The measurement behind docs/adr/0001.

The pydantic side is derived from the canonical structs themselves, field by field, so that both validate the
same model: frozen, unknown fields refused, three-valued presence (msgspec: UNSET; pydantic: fields not set).
"""

from __future__ import annotations

import subprocess
import sys
import types
import typing
from collections.abc import Callable
from functools import cache
from typing import Any, NewType

import msgspec
import pydantic
import typer

from bench.report import best, console, emit, machine, micros, ratio, table
from canonical import model
from canonical.model import Appointment

DOCUMENT = b"""{"entity":"Appointment",
"identifiers":[{"value":"BNCH000001000001","assigner":"EPICSCHED","type":"FILL"},
 {"value":"P000001000001","assigner":"EPICSCHED","type":"PLAC"}],
"status":"booked","start":"2026-03-10T14:30:00-05:00","end":"2026-03-10T15:00:00-05:00","duration":30,
"type":{"coding":[{"code":"NORMAL","display":"Normal","system":"HL70277"}]},
"reason":{"coding":[{"code":"FOLLOWUP","display":"Follow-up visit","system":"L"}]},"event_reason":null,
"patient":{"entity":"Patient","identifiers":[{"value":"MRN000001","assigner":"NORTHGATE",
  "system":"urn:oid:2.16.840.1.113883.19.4.7","type":"MR"}],
 "names":[{"family":"QUILLFEATHER","given":["AURELIA","J"],"use":"official"}],"birth_date":"1979-04-22",
 "sex":"female","addresses":[{"line":["17 LINDEN CT","APT 3B"],"city":"EVANSTON","state":"IL",
  "postal_code":"60202","country":"USA","use":"home"}],"telecom":[{"system":"phone","value":"847-5550117"}]},
"visit":{"identifier":{"value":"V000001","assigner":"NORTHGATE","type":"VN"},"patient_class":"O",
 "location":{"point_of_care":"CARD","room":"204","bed":"1","facility":"NORTHGATE"}},
"services":[{"action":"add","code":{"coding":[{"code":"99213","display":"Office visit","system":"CPT4"}]},
 "start":"2026-03-10T14:30:00-05:00","duration":30}],
"participants":[{"kind":"practitioner","action":"add","who":{"identifiers":[{"value":"1184","type":"NPI"}],
  "name":{"family":"HOLLOWAY","given":["MIRIAM","T"],"prefix":"DR"}},"status":"accepted"},
 {"kind":"location","action":"add","place":{"point_of_care":"CARD","room":"204","facility":"NORTHGATE"}},
 {"kind":"equipment","action":"add","who":{"display":"Echo machine 2"}}],
"comments":["Please bring the referral letter."]}"""


@cache
def mirrored(struct: type[msgspec.Struct]) -> type[pydantic.BaseModel]:
    """The same model in pydantic."""
    hints = typing.get_type_hints(struct, vars(model))
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(struct):
        default = field.default if field.required or field.default is not msgspec.UNSET else None
        fields[field.encode_name] = (_type(hints[field.name]), ... if field.required else
                                     pydantic.Field(default_factory=dict) if field.default is msgspec.NODEFAULT
                                     else default)
    if issubclass(struct, model.Entity):
        fields["entity"] = (str, struct.__name__)
    return pydantic.create_model(struct.__name__, __config__=pydantic.ConfigDict(frozen=True, extra="forbid"),
                                 **fields)


def _type(hint: Any) -> Any:
    if isinstance(hint, NewType):
        return hint.__supertype__
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return mirrored(hint)
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        kept = [_type(part) for part in parts if part is not msgspec.UnsetType]
        return typing.Union[tuple(kept)]  # noqa: UP007 - built at run time
    if origin is tuple:
        return tuple[_type(parts[0]), ...]  # type: ignore[misc] # built at run time
    return hint


def subjects() -> dict[str, dict[str, Callable[[], object]]]:
    """What is done to a value, in both libraries."""
    decoder, encoder = msgspec.json.Decoder(Appointment), msgspec.json.Encoder()
    mirror = mirrored(Appointment)
    ours = decoder.decode(DOCUMENT)
    theirs = mirror.model_validate_json(DOCUMENT)
    written = msgspec.json.decode(theirs.model_dump_json(exclude_unset=True))
    if msgspec.json.decode(encoder.encode(ours)) != written:
        sys.exit("the two models do not hold the same")
    of_struct, of_model = model.Identifier, mirrored(model.Identifier)
    again, same = decoder.decode(DOCUMENT), mirror.model_validate_json(DOCUMENT)
    return {
        "decode and validate JSON": {"msgspec": lambda: decoder.decode(DOCUMENT),
                                     "pydantic": lambda: mirror.model_validate_json(DOCUMENT)},
        "encode JSON, absent left out": {"msgspec": lambda: encoder.encode(ours),
                                         "pydantic": lambda: theirs.model_dump_json(exclude_unset=True)},
        "build one Identifier": {"msgspec": lambda: of_struct(value="1184", type="NPI"),
                                 "pydantic": lambda: of_model(value="1184", type="NPI")},
        "compare": {"msgspec": lambda: ours == again, "pydantic": lambda: theirs == same},
        "change one field": {"msgspec": lambda: msgspec.structs.replace(ours, duration=45),
                             "pydantic": lambda: theirs.model_copy(update={"duration": 45})},
    }


def import_seconds(statement: str) -> float:
    """Time that an import adds to a start, best of five."""
    script = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    run = [sys.executable, "-c", script]
    return min(float(subprocess.run(run, capture_output=True, text=True, check=True).stdout) for _ in range(5))


def measure() -> dict[str, Any]:
    """Microseconds by act and library."""
    acts = {act: best(calls) for act, calls in subjects().items()}
    start = {"msgspec": import_seconds("from msgspec import Struct") * 1e6,
             "pydantic": import_seconds("from pydantic import BaseModel") * 1e6}
    return {"machine": machine(), "bytes": len(DOCUMENT), "us": acts | {"import the library": start}}


def main(as_json: bool = typer.Option(False, "--json", help="JSON on standard output.")) -> None:
    """msgspec or pydantic, on the same appointment."""
    with console.status("measuring"):
        result = measure()
    table(f"One appointment of {result['bytes']} bytes of JSON, same model in both",
          ["", "msgspec", "pydantic", "ratio"],
          [[act, micros(us["msgspec"]), micros(us["pydantic"]), ratio(us["pydantic"], us["msgspec"])]
           for act, us in result["us"].items()])
    if as_json:
        emit(result)


if __name__ == "__main__":
    typer.run(main)
