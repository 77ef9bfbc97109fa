"""YAML as text with positions (rule 9, Z17)."""

from __future__ import annotations

from typing import Annotated

import msgspec
import pytest

from canonical.findings import Rejection
from mapper import document
from mapper.document import Mapping, Scalar, parse, plain, to_struct


def refused(text: str | bytes) -> str:
    """The only finding about a document, as text."""
    with pytest.raises(Rejection) as caught:
        parse(text, "t.yaml")
    assert len(caught.value.findings) == 1
    return str(caught.value)


def test_every_scalar_is_the_text_that_was_written() -> None:
    data = plain(parse("a: yes\nb: 2026-03-10\nc: 010\nd: null\ne: PID-3(*)\nf: 1.50\ng: ~\n", "t"))
    assert data == {"a": "yes", "b": "2026-03-10", "c": "010", "d": "null", "e": "PID-3(*)", "f": "1.50", "g": "~"}


def test_positions_count_from_one_and_reach_into_a_value() -> None:
    tree = parse("a:\n  b: PID-3 | PID-4\n  c: 'x y'\n", "t.yaml")
    assert isinstance(tree, Mapping)
    inner = tree.get("a")
    assert isinstance(inner, Mapping)
    b, c = inner.get("b"), inner.get("c")
    assert isinstance(b, Scalar)
    assert isinstance(c, Scalar)
    assert str(b.at(8)) == "t.yaml:2:14"
    assert str(c.at(2)) == "t.yaml:3:9", "a quote stands before the first character"


def test_a_duplicate_key_is_an_error_that_names_the_first() -> None:
    assert refused("a: 1\nb: 2\na: 3\n").startswith(
        "fatal document.duplicate_key at t.yaml:3:1: a is already on line 1"
    )


@pytest.mark.parametrize("text", ["a: &x 1\nb: *x", "a: *x", "a: !!python/object:os.system x", "a: !tag [1]"])
def test_anchors_aliases_and_tags_are_refused(text: str) -> None:
    """Z17: no alias bombs, no objects."""
    assert "document.alias at t.yaml:1:" in refused(text)


def test_limits_hold_before_anything_is_built() -> None:
    """Z17: size, number and depth."""
    assert "document.too_large" in refused("a: " + "x" * (document.MAX_BYTES + 1))
    assert "document.too_large" in refused("a: " + "[" * 60 + "]" * 60)
    assert "document.too_large" in refused("\n".join(["a:", *["- x"] * (document.MAX_NODES + 1)]))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: [1, 2", "t.yaml:2:1"),
        ("a: 1\n b: 2", "t.yaml:2:"),
        ("a: 1\n---\nb: 2\n", "t.yaml:3:1"),
        ("? [a]\n: b\n", "t.yaml:1:"),
        ("a:\n\tb: 1\n", "t.yaml:2:1: a tab (YAML is indented with blanks only)"),
    ],
)
def test_what_is_not_yaml_is_located(text: str, place: str) -> None:
    assert f"document.syntax at {place}" in refused(text)


def test_what_is_not_utf8_is_located_by_line() -> None:
    assert "document.encoding at t.yaml:2:1" in refused(b"a: 1\nb: \xff\n")


def test_an_empty_file_is_an_empty_table() -> None:
    assert plain(parse("# nothing\n", "t")) == {}


def test_a_misspelt_word_gets_a_suggestion_else_the_list() -> None:
    assert document.did_you_mean("requierd", ["required", "path"]) == "did you mean required?"
    assert document.did_you_mean("PATH", ["path", "map"]) == "did you mean path?"
    assert document.did_you_mean("zzz", ["path", "map"]) == "known: path, map"
    assert document.did_you_mean("zzz", []) is None


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    fast: bool = False


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    inners: list[Inner]
    by_name: dict[str, Inner] = {}
    ratio: float = 1.0


def test_a_document_becomes_a_struct_with_numbers_and_booleans() -> None:
    tree = parse("inners: [{port: 80, fast: yes}]\nby_name: {a: {port: 81, fast: no}}\nratio: 0.5\n", "t")
    assert to_struct(tree, Outer) == Outer([Inner(80, True)], {"a": Inner(81, False)}, 0.5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("inners: [{prt: 80}]", "document.unknown_key at t.yaml:1:11: unknown key prt (did you mean port?)"),
        ("inners: [{prt: 80}]", "document.missing at t.yaml:1:10: the key port is missing"),
        ("inners:\n  - port: 0\n", "document.value at t.yaml:2:11"),
        ("inners: [{port: many}]", "document.value at t.yaml:1:17: expected a whole number"),
        ("inners: [{port: 80, fast: maybe}]", "document.value at t.yaml:1:27: expected yes or no"),
        ("inners: 3", "document.value at t.yaml:1:9"),
        ("{}", "document.missing at t.yaml:1:1: the key inners is missing"),
    ],
)
def test_what_does_not_fit_a_struct_is_located(text: str, expected: str) -> None:
    with pytest.raises(Rejection) as caught:
        to_struct(parse(text, "t.yaml"), Outer)
    assert any(expected in str(found) for found in caught.value.findings), str(caught.value)
