"""The two shapes of a statement that differ between SQLite and PostgreSQL, and how statements become text.

Statements are declared once, with SQLAlchemy Core, and compiled once for the database in use. The hot path
gives the text to the driver itself, because a statement object per row costs more than the row. Only two shapes
are spelled twice:

* *many rows*: SQLite takes a one-row statement for each row (there is no round trip to save); PostgreSQL takes
  one statement with one array a column (``unnest``), so a batch is one round trip whatever its size;
* *one of these keys*: a JSON array on SQLite, a typed array on PostgreSQL. Either keeps the text constant.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec
from sqlalchemy import ColumnElement, Dialect, Table, Text, any_, bindparam, column, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler, SQLiteDialect
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

_ARRAY: Final = re.compile(r"%s(::\w+\[\])")


class Statement(msgspec.Struct, frozen=True):
    """A compiled statement."""

    text: str
    """As the driver takes it."""
    parameters: tuple[str, ...]
    """Names of its positional parameters, in order; for many rows: of the values of a row."""
    key: int = 0
    """Which value of a row identifies it, where the statement tells which rows it touched."""

    def values(self, **named: Any) -> list[Any]:
        """The parameters in order."""
        return [named[name] for name in self.parameters]


class Shapes(Protocol):
    """One database's way to say it."""

    name: str

    def compile(self, statement: ClauseElement, key: int = 0) -> Statement:
        """Text for the driver."""

    def bound(self, statement: ClauseElement) -> tuple[str, list[Any]]:
        """Text and values of a statement that was built for one call."""

    def among(self, of: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """`of` is one of the keys in the parameter `name`."""

    def insert(self, table: Table, columns: Sequence[str], *, replace: bool = False,
               key: str = "") -> Statement:
        """Insert many rows; a known row is left alone, or replaced (by its primary key).

        With `key` the statement tells the keys of the rows that are new.
        """

    def update(self, table: Table, columns: Sequence[str], *where: ColumnElement[bool], key: str,
               tell: bool = False) -> Statement:
        """Update many rows, found by `key`. A row is the values of `columns`, then the key.

        With `tell` the statement tells the keys of the rows that were touched.
        """

    def keys(self, values: Sequence[Any]) -> Any:
        """The value of a parameter made by `among`."""


class _SqliteCompiler(SQLiteCompiler):
    """SQLAlchemy adds ``OFFSET 0`` as one more parameter to each LIMIT; ours have none."""

    def limit_clause(self, select: Any, **kw: Any) -> str:
        return f" LIMIT {self.process(select._limit_clause, **kw)}"


class _SqliteDialect(SQLiteDialect):
    statement_compiler = _SqliteCompiler
    supports_statement_cache = True


class _Compiling:
    """What both have in common: a dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def compile(self, statement: ClauseElement, key: int = 0) -> Statement:
        """See `Shapes.compile`."""
        compiled = self._compiled(statement)
        return Statement(str(compiled), tuple(compiled.positiontup or ()), key)

    def bound(self, statement: ClauseElement) -> tuple[str, list[Any]]:
        """See `Shapes.bound`."""
        compiled = self._compiled(statement)
        return str(compiled), [compiled.params[name] for name in compiled.positiontup or ()]

    def _compiled(self, statement: ClauseElement) -> SQLCompiler:
        compiled = statement.compile(dialect=self._dialect)
        if not isinstance(compiled, SQLCompiler):
            raise TypeError("not a statement")
        return compiled


class Sqlite(_Compiling):
    """See `Shapes`."""

    name = "sqlite"

    def __init__(self) -> None:
        super().__init__(_SqliteDialect(paramstyle="qmark"))

    def among(self, of: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        keys = func.json_each(bindparam(name)).table_valued("value", name=f"these_{name}")
        return of.in_(select(keys.c.value))

    def insert(self, table: Table, columns: Sequence[str], *, replace: bool = False,
               key: str = "") -> Statement:
        statement = sqlite.insert(table).values({name: bindparam(name) for name in columns})
        if replace:
            statement = statement.on_conflict_do_update(
                index_elements=list(table.primary_key),
                set_={name: statement.excluded[name] for name in columns if not table.c[name].primary_key})
        else:
            statement = statement.on_conflict_do_nothing()
        return self._ordered(statement, columns, columns.index(key) if key else 0)

    def update(self, table: Table, columns: Sequence[str], *where: ColumnElement[bool], key: str,
               tell: bool = False) -> Statement:
        statement = update(table).where(table.c[key] == bindparam("its_key"), *where).values(
            {name: bindparam(f"new_{name}") for name in columns})
        return self._ordered(statement, [*(f"new_{name}" for name in columns), "its_key"], len(columns))

    def _ordered(self, statement: ClauseElement, names: Sequence[str], key: int) -> Statement:
        compiled = self.compile(statement, key)
        if compiled.parameters != tuple(names):
            raise AssertionError(f"columns must be listed in the order of the table: {compiled.parameters}")
        return compiled

    def keys(self, values: Sequence[Any]) -> Any:
        return msgspec.json.encode(list(values)).decode()


class Postgres(_Compiling):
    """See `Shapes`."""

    name = "postgresql"

    def __init__(self) -> None:
        super().__init__(PGDialect_psycopg(paramstyle="format"))  # type: ignore[no-untyped-call]  # theirs

    def compile(self, statement: ClauseElement, key: int = 0) -> Statement:
        compiled = super().compile(statement, key)
        # Arrays travel in binary (%b): in text every element would be searched for characters to quote.
        return msgspec.structs.replace(compiled, text=_ARRAY.sub(r"%b\1", compiled.text))

    def among(self, of: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        return of == any_(bindparam(name, type_=postgresql.ARRAY(_plain(of.type))))

    def insert(self, table: Table, columns: Sequence[str], *, replace: bool = False,
               key: str = "") -> Statement:
        statement = postgresql.insert(table).from_select(list(columns), select(*self._rows(table, columns).c))
        if replace:
            statement = statement.on_conflict_do_update(
                index_elements=list(table.primary_key),
                set_={name: statement.excluded[name] for name in columns if not table.c[name].primary_key})
        else:
            statement = statement.on_conflict_do_nothing()
        return self.compile(statement.returning(table.c[key]) if key else statement)

    def update(self, table: Table, columns: Sequence[str], *where: ColumnElement[bool], key: str,
               tell: bool = False) -> Statement:
        rows = self._rows(table, [*columns, key])
        statement = update(table).where(table.c[key] == rows.c[key], *where).values(
            {name: rows.c[name] for name in columns})
        return self.compile(statement.returning(table.c[key]) if tell else statement)

    @staticmethod
    def _rows(table: Table, columns: Sequence[str]) -> Any:
        types = {name: _plain(table.c[name].type) for name in columns}
        arrays = (bindparam(name, type_=postgresql.ARRAY(kind)) for name, kind in types.items())
        rows = func.unnest(*arrays).table_valued(*(column(name, kind) for name, kind in types.items()))
        return rows.render_derived(name="rows")

    def keys(self, values: Sequence[Any]) -> Any:
        return list(values)


def _plain(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type without a collation, which a cast cannot carry."""
    return Text() if isinstance(kind, Text) else kind
