"""Merged subjects: who survived whom (A40)."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping


def survivor(aliases: Mapping[str, str], key: str) -> str:
    """The end of the chain that starts at `key`; the key itself where it was not merged."""
    while (following := aliases.get(key)) is not None:
        key = following
    return key


def link(aliases: MutableMapping[str, str], old: str, new: str) -> None:
    """Remember that `new` survived `old`; a pair of the same key undoes the merge of that key.

    A merge the other way round (B into A after A into B) makes A the survivor again. So chains never close.
    """
    if old == new:
        aliases.pop(old, None)
        return
    last = new
    while (following := aliases.get(last)) is not None:
        if following == old:
            del aliases[last]
            break
        last = following
    aliases[old] = new
