"""The audit chain: whoever edits the trail leaves a mark (Z06)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.audit import Head, Link, append, verify
from store.records import AuditEntry


def chain(length: int) -> tuple[list[Link], Head]:
    links, head = [], Head()
    for number in range(length):
        link = append(head, AuditEntry(at=number, actor="ada", action="message.viewed", subject=f"m{number}",
                                       detail={"b": number, "a": "x"}))
        links.append(link)
        head = Head(link.number, link.hash)
    return links, head


def test_an_untouched_trail_verifies_and_gives_its_entries_back() -> None:
    links, head = chain(5)
    assert verify(links, head) == (5, None)
    assert [link.entry.subject for link in links] == ["m0", "m1", "m2", "m3", "m4"]


def test_an_empty_trail_verifies() -> None:
    assert verify([], Head()) == (0, None)


@given(length=st.integers(1, 12), data=st.data())
def test_an_edit_is_found_where_it_was_made(length: int, data: st.DataObject) -> None:
    links, head = chain(length)
    at = data.draw(st.integers(0, length - 1))
    victim = links[at]
    links[at] = Link(victim.number, victim.body.replace(b"ada", b"eve"), victim.hash)
    assert verify(links, head) == (at + 1, at + 1)


@given(length=st.integers(1, 12), data=st.data())
def test_an_edit_with_its_own_hash_made_right_breaks_the_next_link_or_the_head(length: int, data: st.DataObject) -> None:
    links, head = chain(length)
    at = data.draw(st.integers(0, length - 1))
    before = Head(at, links[at - 1].hash) if at else Head()
    links[at] = append(before, AuditEntry(at=0, actor="eve", action="nothing", subject="here"))
    assert verify(links, head)[1] == min(at + 2, length)


@given(length=st.integers(2, 12), data=st.data())
def test_a_deletion_is_found(length: int, data: st.DataObject) -> None:
    links, head = chain(length)
    at = data.draw(st.integers(0, length - 2))
    del links[at]
    assert verify(links, head)[1] == at + 1


@given(length=st.integers(2, 12), data=st.data())
def test_a_reorder_is_found(length: int, data: st.DataObject) -> None:
    links, head = chain(length)
    at = data.draw(st.integers(0, length - 2))
    links[at], links[at + 1] = links[at + 1], links[at]
    assert verify(links, head)[1] == at + 1


@pytest.mark.parametrize("left", [0, 1, 4])
def test_a_cut_end_is_found(left: int) -> None:
    links, head = chain(5)
    assert verify(links[:left], head) == (left, left + 1)


def test_a_forged_entry_behind_the_head_is_found() -> None:
    links, head = chain(3)
    links.append(append(head, AuditEntry(at=9, actor="eve", action="forged", subject="m9")))
    assert verify(links, head) == (4, 4)
