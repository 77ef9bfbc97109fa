"""Control numbers of the ledger on a database (`store.ledger.Numbers`)."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, literal_column, select, update

from store.sql import schema as s
from store.sql.driver import Transaction
from store.sql.rows import text_in, text_out
from store.sql.shapes import Shapes

_n, _c, _d = s.control_numbers.c, s.counters.c, s.deliveries.c


class NumberStatements:
    """Statements about control numbers, compiled for one database."""

    def __init__(self, shapes: Shapes) -> None:
        text = shapes.compile
        self.number_of = text(select(_n.number).where(
            _n.scope == bindparam("scope"), _n.holder == bindparam("holder")))
        self.holder_of = text(select(_n.holder).where(
            _n.scope == bindparam("scope"), _n.number == bindparam("number")))
        self.numbered = text(select(_n.number, _n.holder, _n.at).where(
            _n.scope == bindparam("scope"), _n.at >= bindparam("since")).order_by(_n.at, _n.number).limit(
            bindparam("limit")))
        self.new_counter = shapes.insert(s.counters, ("name", "value"))
        # On PostgreSQL the row is locked until our commit: the next number waits for it, so that none is lost.
        counter = select(_c.value).where(_c.name == bindparam("name"))
        self.lock_counter = text(counter.with_for_update() if shapes.name == "postgresql" else counter)
        self.advance = text(update(s.counters).where(_c.name == bindparam("name")).values(
            value=_c.value + literal_column("1")).returning(_c.value))
        self.take = shapes.insert(s.control_numbers, ("scope", "number", "holder", "at"))
        self.forget_numbers = text(delete(s.control_numbers).where(
            _n.at < bindparam("before"), ~select(_d.id).where(_d.id == _n.holder, _d.stands > s.NO).exists()))


async def reserve(tx: Transaction, text: NumberStatements, scope: str, holder: str, at: int) -> int:
    """See `store.ledger.Numbers.number`, inside an open transaction."""
    scope, holder = text_in(scope), text_in(holder)
    answer = await tx.ask(text.number_of, scope, holder)
    await tx.flush()
    if not answer.rows:
        await tx.many(text.new_counter, [(scope, 0)])
        await tx.ask(text.lock_counter, scope)
        answer = await tx.ask(text.number_of, scope, holder)  # another process may have been faster
        await tx.flush()
    if not answer.rows:
        answer = await tx.ask(text.advance, scope)
        await tx.flush()
        await tx.many(text.take, [(scope, answer.rows[0][0], holder, at)])
    return int(answer.rows[0][0])


async def claim(tx: Transaction, text: NumberStatements, scope: str, number: int, holder: str, at: int) -> str:
    """See `store.ledger.Numbers.claim`, inside an open transaction."""
    scope = text_in(scope)
    await tx.many(text.take, [(scope, number, text_in(holder), at)])
    answer = await tx.ask(text.holder_of, scope, number)
    await tx.flush()
    return text_out(answer.rows[0][0])
