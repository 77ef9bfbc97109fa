"""What was agreed with a partner about the form of interchanges (X03, X08, X09, X10)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from connectors.x12.delimiters import STANDARD, Delimiters

_Meta = msgspec.Meta


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A trading partner, as far as the envelope goes."""

    usage: Annotated[Literal["", "T", "P"], _Meta(
        description="ISA15 that this endpoint takes and writes: T test, P production; empty: either (written as T)")] = ""
    sender: Annotated[str, _Meta(description="ISA05/ISA06 of the partner, `ZZ/PAYER`; empty: anybody")] = ""
    receiver: Annotated[str, _Meta(description="ISA07/ISA08 of ours, `ZZ/CLINIC`; empty: anybody")] = ""
    versions: Annotated[tuple[str, ...], _Meta(description="ISA12 that are taken")] = ("00501",)
    characters: Annotated[Literal["basic", "extended", "any"], _Meta(
        description="Character set of the agreement (X12.6 §3.3): basic, extended, or any")] = "extended"
    upper: Annotated[bool, _Meta(description="Written in capital letters")] = False
    delimiters: Annotated[Delimiters, _Meta(description="Delimiters the partner likes best")] = STANDARD
    free_delimiters: Annotated[bool, _Meta(
        description="Other delimiters may be chosen where these occur in data; no: such a value is refused")] = True
    tolerate: Annotated[frozenset[str], _Meta(
        description="Codes of findings that are a warning for this partner, such as x12.count")] = frozenset()
    reject: Annotated[Literal["set", "group"], _Meta(
        description="What one bad transaction set rejects: itself, or its whole functional group")] = "set"


ANYBODY = Profile(versions=())
