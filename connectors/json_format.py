"""JSON for the mapping language: paths such as ``participant(actor.type=Patient).actor.identifier.value``.

One adapter for every format whose wire value is a JSON tree: FHIR with its dictionary, ERP and the like
without. Satisfies ``mapper.format.Format`` structurally. Nodes are the dicts and lists themselves; what is
not there is `UNSET`, ``null`` is CLEAR.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET

from canonical.findings import Rejection, Severity, declare, finding
from canonical.paths import Cells, PathError, Spot, verbatim

NOT_AN_OBJECT: Final = declare(
    "json.not_an_object", Severity.FATAL,
    "The document is not a JSON object, or not the resource this table is for",
    "Check the channel's mapping, and resourceType where it is FHIR.")

#: type → element → type, with ``*`` where it repeats.
Dictionary: TypeAlias = Mapping[str, Mapping[str, str]]
Conditions: TypeAlias = tuple[tuple[tuple[str, ...], str], ...]

_NAME: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$\-]*")
_RESOLVE: Final = "resolve"
_RESOURCE: Final = re.compile(r"[A-Z][A-Za-z]+")
_AND: Final = re.compile(r"\s+&\s+")
_ANY: Final = "any"


class Placed(dict[str, Any]):
    """An object that stands somewhere else than where a path meets it (what a FHIR reference points to)."""

    __slots__ = ("place",)

    def __init__(self, items: Mapping[str, Any], place: str) -> None:
        super().__init__(items)
        self.place = place


def resolved(resource: str) -> str:
    """The name under which a reference holds the resource it points to, for `resolve(Patient)` of paths."""
    return f"{_RESOLVE}({resource})"


class _Step:
    """One name with what stands in its brackets."""

    __slots__ = ("conditions", "index", "lists", "many", "name")

    def __init__(self, name: str, *, index: int | None, many: bool, conditions: Conditions) -> None:
        self.name = name
        self.index = index
        self.many = many
        self.conditions = conditions
        self.lists: frozenset[tuple[str, ...]] = frozenset()
        """Names in the conditions whose values are lists, by the dictionary."""

    @property
    def listed(self) -> bool:
        """True where the value of the name is a list."""
        return self.many or self.index is not None or bool(self.conditions)

    def pick(self, value: Any) -> list[tuple[int, Any]]:
        """The elements meant, with their positions; -1 for a value that is no list."""
        if not isinstance(value, list):
            return [(-1, value)] if self.many or not self.index else []
        if self.index is not None:
            return [(self.index, value[self.index])] if self.index < len(value) else []
        if self.conditions:
            return [(at, each) for at, each in enumerate(value) if self.matches(each)][:None if self.many else 1]
        return list(enumerate(value))[:None if self.many else 1]

    def matches(self, element: Any) -> bool:
        """Whether an element fulfils the conditions."""
        for names, wanted in self.conditions:  # noqa: SIM110 - a generator costs more than the test
            if _word(_inside(element, names)) != wanted:
                return False
        return True

    def placed(self, names: tuple[str, ...]) -> Iterator[str]:
        """The names of a condition as a concrete place."""
        for depth, name in enumerate(names, 1):
            yield f"{name}(0)" if names[:depth] in self.lists else name

    def made(self) -> dict[str, Any]:
        """An element that fulfils the conditions."""
        made: dict[str, Any] = {}
        for names, wanted in self.conditions:
            inner = made
            for depth, name in enumerate(names[:-1], 1):
                if names[:depth] in self.lists:
                    inner = inner.setdefault(name, [{}])[0]
                else:
                    inner = inner.setdefault(name, {})
            inner[names[-1]] = wanted
        return made


def _inside(value: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        while isinstance(value, list):
            value = value[0] if value else UNSET
        value = value.get(name, UNSET) if isinstance(value, dict) else UNSET
    return value


def _word(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else None


def _steps(text: str) -> Iterator[tuple[_Step, int]]:
    position = 0
    if text == ".":
        return
    while True:
        match = _NAME.match(text, position)
        if match is None:
            raise PathError(f"{text} is not a JSON path", column=position, hint="write name.name(0).name")
        start, position = position, match.end()
        argument: str | None = None
        if text[position:position + 1] == "(":
            end = _closing(text, position)
            argument = text[position + 1:end]
            position = end + 1
            if text.startswith("(*)", position):
                argument, position = f"{argument} & *", position + 3
        yield _step(match[0], argument, start), start
        if position == len(text):
            return
        if text[position] != ".":
            raise PathError(f"{text} is not a JSON path", column=position, hint="names are joined by dots")
        position += 1


def _closing(text: str, start: int) -> int:
    depth = 0
    for position in range(start, len(text)):
        depth += (text[position] == "(") - (text[position] == ")")
        if not depth:
            return position
    raise PathError(f"{text} has an open bracket", column=start)


def _step(name: str, argument: str | None, column: int) -> _Step:
    if argument is None:
        return _Step(name, index=None, many=False, conditions=())
    argument = argument.strip()
    if name == _RESOLVE and _RESOURCE.fullmatch(argument):
        return _Step(resolved(argument), index=None, many=False, conditions=())
    if argument == "*":
        return _Step(name, index=None, many=True, conditions=())
    if argument.isdecimal():
        return _Step(name, index=int(argument), many=False, conditions=())
    conditions = []
    many = False
    for part in _AND.split(argument):
        key, equals, value = part.partition("=")
        if part == "*":
            many = True
        elif equals and key.strip():
            conditions.append((tuple(key.strip().split(".")), value.strip()))
        else:
            raise PathError(f"({argument}) is not a position, * or name=value", column=column + len(name))
    return _Step(name, index=None, many=many, conditions=tuple(conditions))


# -- paths --------------------------------------------------------------------------------------------------


class JsonPath:
    """A resolved path (``mapper.format.Path``)."""

    def __init__(self, text: str, steps: Sequence[_Step], wire_type: str, shape: JsonShape, *, listed: bool,
                 lists: Sequence[bool]) -> None:
        self.text = text
        self.wire_type = wire_type
        composite = wire_type in shape.known
        self.kind = "composite" if composite else "leaf"
        self.container = composite or wire_type == _ANY
        self.whole = False
        self.partial = False
        self.cells: Cells | None = None
        self.spot: Spot | None = None
        self.repeats = any(step.many for step in steps)
        self._steps = tuple(steps)
        self._listed = listed
        #: Each step by name; with the step itself where its value is a list.
        self._ways = tuple((step.name, step if step.listed or many else None)
                           for step, many in zip(steps, lists, strict=True))
        self._shape = shape
        self.first: Callable[[Any], Any] = self._first()
        self.every: Callable[[Any], Sequence[Any]] = lambda node: [value for value, _ in self._walk(node, "", 0)]
        # `each: participant(actor.type=Patient)` means every such element, a value the first.
        self._each = steps[-1] if steps and steps[-1].conditions and not steps[-1].many else None
        last = steps[-1] if steps else None
        plain = last is not None and last.index is None and not last.conditions
        self.put: Callable[[Any, Any], None] = self._plain_put() if plain else self._put
        self.add: Callable[[Any, Any], None] = self._add
        self.child: Callable[[Any], Any] = self._child

    def _first(self) -> Callable[[Any], Any]:
        if not self._steps:
            return _scalar
        if all(not step.listed for step in self._steps):
            names = tuple(step.name for step in self._steps)
            if len(names) == 1:
                name = names[0]
                return lambda node: _scalar(node.get(name, UNSET)) if isinstance(node, dict) else UNSET
            return lambda node: _scalar(_inside(node, names))
        return lambda node: next((value for value, _ in self._walk(node, "", 0)), UNSET)

    def _walk(self, node: Any, at: str, depth: int, end: int | None = None) -> Iterator[tuple[Any, str]]:
        """What is at the path, with its place; `end`: only so many steps of it."""
        if depth == (len(self._steps) if end is None else end):
            if node is not UNSET:
                yield node, at
            return
        step = self._steps[depth]
        value = node.get(step.name, UNSET) if isinstance(node, dict) else UNSET
        if value is UNSET:
            return
        place = value.place if isinstance(value, Placed) else f"{at}.{step.name}" if at else step.name
        if value is None:
            if depth + 1 == len(self._steps):
                yield None, place
            return
        if not step.listed and not isinstance(value, list):
            yield from self._walk(value, place, depth + 1, end)
            return
        for index, element in step.pick(value):
            here = element.place if isinstance(element, Placed) else place if index < 0 else f"{place}({index})"
            yield from self._walk(element, here, depth + 1, end)

    def located(self, node: Any, at: str) -> list[tuple[Any, str]]:
        """See ``mapper.format.Path``."""
        return list(self._walk(node, at, 0))

    def tested(self, node: Any, at: str) -> list[str]:
        """See ``mapper.format.Path``."""
        found = []
        for depth, step in enumerate(self._steps):
            if not step.conditions:
                continue
            for element, place in JsonPath._walk(self, node, at, 0, depth + 1):
                found += [".".join((place, *step.placed(names))) for names, _ in step.conditions
                          if _inside(element, names) is not UNSET]
        return found

    def inside(self) -> JsonShape:
        """See ``mapper.format.Path``: rows start from every element, so the path now means all of them."""
        if self._each is not None:
            self._each.many = True
        return self._shape.inner(self.wire_type, self._steps)

    # -- writing --------------------------------------------------------------------------------------------

    @staticmethod
    def _parent(node: Any, ways: Sequence[tuple[str, _Step | None]]) -> Any:
        for name, step in ways:
            there = node.get(name)
            if step is not None:
                if there is None:
                    there = node[name] = []
                there = JsonPath._element(there, step)
            elif there is None:
                there = node[name] = {}
            node = there
        return node

    def _plain_put(self) -> Callable[[Any, Any], None]:
        """`put` where the last step is a name alone: the usual case."""
        *above, (name, _) = self._ways
        ways, listed, parent_of = tuple(above), self._listed, self._parent

        def put(node: Any, raw: Any) -> None:
            if raw is UNSET:
                return
            parent = parent_of(node, ways) if ways else node
            if isinstance(raw, dict):
                there = parent.get(name)
                if isinstance(there, dict):
                    there.update(raw)
                    return
            parent[name] = [raw] if listed and raw is not None else raw

        return put

    @staticmethod
    def _element(values: list[Any], step: _Step) -> Any:
        if step.conditions:
            for element in values:
                if step.matches(element):
                    return element
            made = step.made()
            values.append(made)
            return made
        index = step.index or 0
        while len(values) <= index:
            values.append({})
        return values[index]

    def _put(self, node: Any, raw: Any) -> None:
        if raw is UNSET:
            return
        if not self._steps:
            node.update(raw)
            return
        parent, step = self._parent(node, self._ways[:-1]), self._steps[-1]
        if raw is None:
            parent[step.name] = raw
            return
        values = parent.setdefault(step.name, [])
        if step.conditions:
            self._element(values, step).update(raw)
            return
        index = step.index or 0
        while len(values) <= index:
            values.append(None)
        values[index] = raw

    def _add(self, node: Any, raw: Any) -> None:
        if raw is UNSET:
            return
        last = max(index for index, step in enumerate(self._steps) if step.many)
        parent = self._parent(node, self._ways[:last])
        values = parent.setdefault(self._steps[last].name, [])
        if last == len(self._steps) - 1:
            values.append(raw)
            return
        made = self._steps[last].made()
        values.append(made)
        inner = self._parent(made, self._ways[last + 1:-1])
        inner[self._steps[-1].name] = [raw] if self._listed else raw

    def _child(self, node: Any) -> Any:
        last = self._steps[-1]
        parent = self._parent(node, self._ways[:-1])
        made = last.made()
        if last.many or self._listed:
            parent.setdefault(last.name, []).append(made)
        else:
            parent[last.name] = made
        return made


def _scalar(value: Any) -> Any:
    """The first element, where a list is read as one value."""
    while isinstance(value, list):
        value = value[0] if value else UNSET
    return value


class JsonShape:
    """A place in the dictionary: a resource, a data type, or an object nobody described."""

    def __init__(self, known: Dictionary, wire_type: str, declared: Mapping[str, str], prefix: str = "") -> None:
        self.known = known
        self._type = wire_type
        self._declared = declared
        self._prefix = prefix

    def path(self, text: str) -> JsonPath:
        """Resolve a path written from here. Raises PathError."""
        steps, lists, wire_type, listed = [], [], self._type, False
        for step, column in _steps(text):
            wire_type, listed = self._element(wire_type, step.name, column)
            if step.listed and not listed and wire_type != _ANY and self._type in self.known:
                raise PathError(f"{step.name} is one value, not a list", column=column,
                                hint=f"write {step.name} without brackets")
            step.lists = frozenset(self._lists(wire_type, step.conditions))
            steps.append(step)
            lists.append(listed)
        if wire_type == _ANY:
            wire_type = self._declared.get(self._plain(steps), _ANY)
            listed = False
        return JsonPath(text, steps, wire_type, self, listed=listed, lists=lists)

    def _lists(self, wire_type: str, conditions: Conditions) -> Iterator[tuple[str, ...]]:
        for names, _ in conditions:
            kind = wire_type
            for depth, name in enumerate(names[:-1], 1):
                found = self.known.get(kind, {}).get(name, "")
                if found.endswith("*"):
                    yield names[:depth]
                kind = found.removesuffix("*")

    def _plain(self, steps: Sequence[_Step]) -> str:
        return ".".join([*([self._prefix] if self._prefix else []), *(step.name for step in steps)])

    def _element(self, wire_type: str, name: str, column: int) -> tuple[str, bool]:
        if wire_type == _ANY or wire_type == "Resource":
            return _ANY, False
        elements = self.known.get(wire_type)
        if elements is None:
            raise PathError(f"{wire_type} has no parts", column=column)
        if wire_type == "Reference" and name.startswith(resolved("")[:-1]):
            kind = name[len(resolved("")) - 1:-1]
            if kind not in self.known:
                raise PathError(f"there is no resource {kind}", column=column)
            return kind, False
        if name.startswith("_") and name[1:] in elements:
            return "Element", False  # where JSON keeps the extensions of a plain value (R4 json.html#primitive)
        if name == "resourceType" and "id" in elements:
            return "code", False
        found = elements.get(name)
        if found is None:
            near = difflib.get_close_matches(name, elements, n=1)
            raise PathError(f"{wire_type} has no element {name}", column=column,
                            hint=f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(elements)[:20])}")
        return found.removesuffix("*"), found.endswith("*")

    def inner(self, wire_type: str, steps: Sequence[_Step]) -> JsonShape:
        """The shape inside a path."""
        return JsonShape(self.known, wire_type, self._declared, self._plain(steps))


# -- the format ---------------------------------------------------------------------------------------------


class JsonFormat:
    """JSON as ``mapper.format.Format``. With a dictionary the name of a message is a resource type."""

    absent: Final = UNSET
    clear: Final = None
    marks: Final = ""

    def __init__(self, family: str = "json", known: Dictionary | None = None) -> None:
        self.family = family
        self.can_clear = known is None
        self._known: Dictionary = known or {}

    def message(self, name: str, declared: Mapping[str, Any]) -> JsonShape:
        """See ``mapper.format.Format``."""
        if not self._known:
            for path, kind in declared.items():
                if not isinstance(kind, str):
                    raise PathError(f"{path} has a type, one word")
            return JsonShape({}, _ANY, {_unbracketed(path): kind for path, kind in declared.items()})
        if name not in self._known:
            near = difflib.get_close_matches(name, self._known, n=1)
            raise PathError(f"there is no resource {name}", hint=f"did you mean {near[0]}?" if near else "")
        return JsonShape(self._known, name, {})

    def header(self, name: str) -> Mapping[str, Any]:
        """See ``mapper.format.Format``."""
        return {}

    def datatype(self, wire_type: str) -> JsonShape:
        """See ``mapper.format.Format``."""
        if wire_type not in self._known:
            if self._known:
                raise PathError(f"there is no data type {wire_type}")
            return JsonShape({}, _ANY, {})
        return JsonShape(self._known, wire_type, {})

    def text(self, wire_type: str) -> tuple[Callable[[Any], str], Callable[[str], Any]]:
        """See ``mapper.format.Format``."""
        if wire_type in ("number", "integer", "decimal", "positiveInt", "unsignedInt"):
            return _text, _number
        if wire_type == "boolean":
            return _text, lambda value: value == "true"
        return _text, verbatim

    def marked(self, wire_type: str) -> Callable[[str], object] | None:
        """See ``mapper.format.Format``: numbers and booleans are no text in JSON, and the rest is `verbatim`."""
        return None

    def number(self, wire_type: str) -> Callable[[int], Any]:
        """See ``mapper.format.Format``."""
        return str if wire_type == "string" else lambda value: value

    def decode(self, raw: bytes) -> Any:
        """See ``mapper.format.Format``."""
        try:
            return msgspec.json.decode(raw)
        except msgspec.DecodeError:
            raise Rejection(finding(NOT_AN_OBJECT)) from None

    def open(self, raw: Any) -> Any:
        """See ``mapper.format.Format``."""
        return raw

    def new(self, wire_type: str) -> dict[str, Any]:
        """See ``mapper.format.Format``."""
        return {}

    def close(self, node: dict[str, Any]) -> Any:
        """See ``mapper.format.Format``."""
        return node or UNSET

    def root(self, wire: Any, name: str) -> Any:
        """See ``mapper.format.Format``."""
        if not isinstance(wire, dict) or (self._known and wire.get("resourceType") != name):
            raise Rejection(finding(NOT_AN_OBJECT))
        return wire

    def draft(self, name: str) -> dict[str, Any]:
        """See ``mapper.format.Format``."""
        return {"resourceType": name} if self._known else {}

    def finish(self, node: dict[str, Any], name: str, set_ids: Sequence[str]) -> dict[str, Any]:
        """See ``mapper.format.Format``: JSON has no set ids and no order to restore."""
        return node

    def leaves(self, wire: Any, name: str) -> list[str]:
        """See ``mapper.format.Format``."""
        return [place for place in _leaves(wire, "") if place != "resourceType" or not self._known]


def _leaves(value: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{at}.{name}" if at else name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{at}({index})")
    else:
        yield at


def _text(raw: Any) -> str:
    if isinstance(raw, str):
        return raw
    if isinstance(raw, bool):
        return "true" if raw else "false"
    return str(raw) if isinstance(raw, (int, float)) else ""


def _number(value: str) -> Any:
    number = float(value)
    return int(number) if number.is_integer() and "." not in value else number


def _unbracketed(path: str) -> str:
    return re.sub(r"\([^()]*\)", "", path)
