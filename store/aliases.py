"""Merged subjects: who survived whom (A40).

A pair of a key with itself is a subject that was merged once and stands by itself again (A4.5). It is remembered,
because somebody may still have in memory what it was before.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence


def survivor(aliases: Mapping[str, str], key: str) -> str:
    """The end of the chain that starts at `key`; the key itself where it is not merged."""
    while (following := aliases.get(key, key)) != key:
        key = following
    return key


def link(aliases: MutableMapping[str, str], old: str, new: str) -> None:
    """Remember that `new` survived `old`; a pair of the same key undoes the merge of that key.

    A merge the other way round (B into A after A into B) makes A the survivor again. So chains never close.
    """
    last = new
    while old != new and (following := aliases.get(last, last)) != last:
        if following == old:
            aliases[last] = last
            break
        last = following
    aliases[old] = new


def landed(lanes: Sequence[str], ends: Mapping[str, str]) -> tuple[str, ...]:
    """The lanes of a message, with the survivors of merged ones before them (A4.3).

    The first lane is where a message is processed and where its deliveries stand, so that what is said with an old
    number keeps its place among what is said with the new one. The old lanes stay as further ones: when the merge
    is undone, what comes then by the old number waits for what came before.
    """
    return tuple(dict.fromkeys((*(ends.get(lane, lane) for lane in lanes), *lanes)))
