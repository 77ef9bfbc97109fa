"""Every statement of the hot path, by name; see `store.sql.shapes` for how it becomes text."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, exists, func, literal_column, or_, select, update
from sqlalchemy import insert as insert_one
from sqlalchemy.sql import ClauseElement

from store.records import DeliveryState, MessageState
from store.retention import FINISHED
from store.sql import schema as s
from store.sql.numbers import NumberStatements
from store.sql.schema import word, words
from store.sql.shapes import Shapes, Statement
from store.sql.task_statements import TaskStatements

MESSAGE: tuple[str, ...] = (
    "seq", "id", "channel", "control_id", "message_type", "sender", "lane", "partition", "lanes", "charset",
    "dedup", "peer", "parent_id", "replay_of", "received_at", "state", "since", "reason", "ack_outcome",
    "findings")
DELIVERY: tuple[str, ...] = (
    "id", "message_seq", "event_id", "destination", "lane", "partition", "priority", "due_at", "state", "since",
    "reason", "stands", "identity")
CONCLUDED: tuple[str, ...] = ("state", "since", "reason", "code", "findings", "stands")
EVENT: tuple[str, ...] = (
    "id", "message_seq", "subject_key", "version_at", "version_tie", "published", "body")
DECISION: tuple[str, ...] = ("event_id", "id", "kind", "at", "body")
STATE: tuple[str, ...] = ("subject_key", "version", "event_id", "patient_key", "closed", "body")
ATTEMPT: tuple[str, ...] = (
    "delivery_id", "started_at", "number", "ended_at", "outcome", "code", "finding", "response")

#: What is read of a message and of a delivery, in this order (`store.sql.rows` turns it into records).
MESSAGE_READ = (*(s.messages.c[name] for name in MESSAGE), s.messages.c.ack_code, s.messages.c.revision,
                s.raws.c.body)
DELIVERY_READ = (*(s.deliveries.c[name] for name in DELIVERY if name != "stands"), s.deliveries.c.attempts,
                 s.deliveries.c.code, s.deliveries.c.findings)
MESSAGES = s.messages.join(s.raws, s.raws.c.message_seq == s.messages.c.seq)

_RECEIVED, _PARKED = word(MessageState.RECEIVED), word(MessageState.PARKED)
_m, _d, _e = s.messages.c, s.deliveries.c, s.events.c


class Statements:
    """All of them, compiled for one database."""

    def __init__(self, shapes: Shapes) -> None:
        self.shapes = shapes
        text, among, insert, change = shapes.compile, shapes.among, shapes.insert, shapes.update
        postgres = shapes.name == "postgresql"

        # intake
        self.next_seqs = text(self._next_seqs(postgres))
        self.insert_messages = insert(s.messages, MESSAGE, key="seq")
        self.insert_raws = insert(s.raws, ("message_seq", "body"))
        self.insert_fences = insert(s.fences, ("lane", "message_seq", "partition", "home"))
        first = select(_m.id, _m.control_id, _m.received_at, _m.state, _m.findings)
        self.first_by_id = text(first.where(_m.id == bindparam("id")))
        self.first_by_dedup = text(first.where(
            _m.dedup == bindparam("dedup"), _m.channel == bindparam("channel"), _m.dedup.is_not(None)))
        self.note_acks = change(s.messages, ("ack_outcome", "ack_code"), key="id")

        # the guard of every write of dispatch: shared lock, so that a new owner waits for our commit
        held = select(s.leases.c.partition, s.leases.c.owner, s.leases.c.epoch).where(
            among(s.leases.c.partition, "partitions")).order_by(s.leases.c.partition)
        self.leases = text(held.with_for_update(read=True) if postgres else held)
        one = select(s.leases.c.owner, s.leases.c.epoch, s.leases.c.expires_at).where(
            s.leases.c.partition == bindparam("partition"))
        self.lease = text(one.with_for_update() if postgres else one)
        self.new_lease = insert(s.leases, ("partition", "owner", "epoch", "expires_at"), key="partition")
        self.set_lease = change(s.leases, ("owner", "epoch", "expires_at"), key="partition")

        # what messages set in motion
        self.still_received = text(select(_m.seq).where(among(_m.seq, "seqs"), _m.state == _RECEIVED))
        self.move_messages = change(
            s.messages, ("state", "since", "reason", "revision", "findings"), _m.state == _RECEIVED, key="seq")
        self.insert_events = insert(s.events, EVENT)
        self.insert_decisions = insert(s.decisions, DECISION)
        self.replace_states = insert(s.states, STATE, replace=True)
        self.insert_deliveries = insert(s.deliveries, DELIVERY, key="id")
        self.supersede = change(
            s.deliveries, ("state", "since", "stands"), _d.state == word(DeliveryState.PENDING), key="id")
        self.conclude = text(
            update(s.deliveries)
            .where(_d.id == bindparam("its_id"), _d.state == bindparam("was"), _d.reason == bindparam("was_reason"))
            .values({name: bindparam(f"new_{name}") for name in CONCLUDED}))
        self.lift_fences = text(delete(s.fences).where(among(s.fences.c.message_seq, "seqs")))
        self.alias = text(select(s.aliases.c.new).where(s.aliases.c.old == bindparam("old")))
        self.set_aliases = insert(s.aliases, ("old", "new"), replace=True)
        # Whoever accepts a message reads the aliases of its lanes; a merge shuts them out until it has committed, so
        # that no message slips past it into the old lane.
        self.lock_aliases = Statement("LOCK TABLE aliases IN ACCESS EXCLUSIVE MODE", ()) if postgres else None
        lanes = select(_m.seq, _m.lane, _m.lanes, _m.state)
        in_lane = [_m.partition == bindparam("partition"), _m.lane == bindparam("lane")]
        self.received_in = text(lanes.where(*in_lane, _m.state == _RECEIVED))
        self.parked_in = text(lanes.where(*in_lane, _m.state == _PARKED))
        self.fenced_in = text(lanes.select_from(
            s.fences.join(s.messages, s.fences.c.message_seq == _m.seq)).where(
            s.fences.c.lane == bindparam("lane")))
        self.move_lanes = change(s.messages, ("lane", "partition", "lanes"), key="seq")

        # dispatch
        self.mark_inflight = change(
            s.deliveries, ("state", "since"), _d.state == word(DeliveryState.PENDING), key="id", tell=True)
        self.settle = change(
            s.deliveries, ("due_at", "state", "since", "reason", "attempts", "code", "findings", "stands"),
            s.OPEN, key="id", tell=True)
        self.insert_attempts = insert(s.attempts, ATTEMPT)
        self.mark_published = text(update(s.events).where(among(_e.id, "ids")).values(
            published=literal_column("1")))

        # the audit chain, one link at a time: the head's row is the lock
        head = select(s.audit_head.c.count, s.audit_head.c.hash).where(
            s.audit_head.c.one == literal_column("1"))
        self.audit_head = text(head)
        self.lock_audit_head = text(head.with_for_update() if postgres else head)
        # No ON CONFLICT: an entry in the way is somebody's forgery and must not swallow ours.
        self.append_audit = text(insert_one(s.audit).values(
            {name: bindparam(name) for name in ("number", "body", "hash")}))
        self.move_audit_head = change(s.audit_head, ("count", "hash"), key="one")
        self.audit_after = text(
            select(s.audit.c.number, s.audit.c.body, s.audit.c.hash)
            .where(s.audit.c.number > bindparam("after")).order_by(s.audit.c.number).limit(bindparam("limit")))

        # reads of the worker
        self.received = text(
            select(*MESSAGE_READ).select_from(MESSAGES)
            .where(_m.partition == bindparam("partition"), _m.state == _RECEIVED,
                   _m.seq > bindparam("after"))
            .order_by(_m.seq).limit(bindparam("limit")))
        earlier = s.messages.alias("earlier").c
        self.reused = text(
            select(_m.seq).where(
                among(_m.seq, "seqs"), _m.control_id != word(""), _m.replay_of == word(""),
                exists().where(
                    earlier.control_id == _m.control_id, earlier.seq < _m.seq, earlier.channel == _m.channel,
                    earlier.sender == _m.sender, earlier.state != word(MessageState.REFUSED))))
        self.parked_lanes = text(
            select(_m.lane, func.min(_m.seq)).where(
                _m.partition == bindparam("partition"), _m.state == _PARKED).group_by(_m.lane))
        self.parked_fences = text(
            select(s.fences.c.lane, func.min(s.fences.c.message_seq))
            .select_from(s.messages.join(s.fences, s.fences.c.message_seq == _m.seq))
            .where(_m.partition == bindparam("partition"), _m.state == _PARKED).group_by(s.fences.c.lane))
        self.fences = text(
            select(s.fences.c.lane, s.fences.c.message_seq, s.fences.c.home)
            .where(s.fences.c.partition == bindparam("partition"), s.fences.c.home != s.fences.c.partition)
            .order_by(s.fences.c.message_seq, s.fences.c.lane))
        older = [_m.partition == bindparam("partition"), _m.lane == bindparam("lane"),
                 _m.seq < bindparam("seq")]
        self.received_before = text(
            select(_m.seq).where(*older, _m.state == _RECEIVED).limit(literal_column("1")))
        self.parked_before = text(
            select(_m.seq).where(*older, _m.state == _PARKED).limit(literal_column("1")))
        self.fenced_before = text(
            select(s.fences.c.message_seq).where(
                s.fences.c.lane == bindparam("lane"), s.fences.c.message_seq < bindparam("seq"))
            .limit(literal_column("1")))
        self.subjects = text(
            select(s.states.c.subject_key, s.states.c.version, s.states.c.event_id, s.states.c.patient_key,
                   s.states.c.body).where(s.states.c.subject_key > bindparam("after"),
                                          s.states.c.subject_key < bindparam("end"))
            .order_by(s.states.c.subject_key).limit(bindparam("limit")))
        self.states = text(
            select(s.states.c.subject_key, s.states.c.version, s.states.c.event_id, s.states.c.patient_key,
                   s.states.c.body).where(among(s.states.c.subject_key, "keys")))
        self.open_of = text(
            select(s.states.c.subject_key, s.states.c.version, s.states.c.event_id, s.states.c.patient_key,
                   s.states.c.body).where(among(s.states.c.patient_key, "keys"), s.states.c.closed == s.NO)
            .order_by(s.states.c.subject_key))
        self.aliases = text(select(s.aliases.c.old, s.aliases.c.new).where(among(s.aliases.c.old, "keys")))
        self.insert_merges = insert(s.merges, ("key", "event_id", "role", "other"))
        self.merges = text(
            select(s.merges.c.key, s.merges.c.role, s.merges.c.other, _e.body)
            .select_from(s.merges.join(s.events, _e.id == s.merges.c.event_id))
            .where(among(s.merges.c.key, "keys")).order_by(s.merges.c.key, s.merges.c.role, s.merges.c.other, _e.id))
        self.history = text(
            select(_e.body).where(_e.subject_key == bindparam("key"))
            .order_by(_e.version_at, _e.version_tie, _e.id))
        self.open_deliveries = text(
            select(*DELIVERY_READ).where(_d.partition == bindparam("partition"), s.OPEN)
            .order_by(_d.message_seq, _d.id))
        self.named = text(
            select(*DELIVERY_READ).where(among(_d.identity, "names"), _d.identity != word(""))
            .order_by(_d.message_seq, _d.id))
        self.lanes_of = text(select(_m.lane, _m.lanes).where(_m.seq == bindparam("seq")))
        self.open_before = text(
            select(_d.destination).distinct().where(
                _d.partition == bindparam("partition"), _d.message_seq < bindparam("seq"),
                _d.lane == bindparam("lane"), s.OPEN))
        self.events = text(select(_e.id, _e.body).where(among(_e.id, "ids")))
        self.unpublished = text(
            select(_e.body).where(_e.published == s.NO).order_by(_e.seq)
            .limit(bindparam("limit")))

        # the mark of a writer: whether its last commit happened, when nobody could say so
        self.mark = insert(s.writers, ("id", "batch"), replace=True)
        find_mark = select(s.writers.c.batch).where(s.writers.c.id == bindparam("id"))
        self.find_mark = text(find_mark.with_for_update() if postgres else find_mark)
        self.drop_mark = text(delete(s.writers).where(s.writers.c.id == bindparam("id")))

        # the desk
        ids = among(_m.id, "ids")
        self.requeue_messages = text(
            update(s.messages).where(ids, _m.state == _PARKED)
            .values(state=_RECEIVED, since=bindparam("at"), reason=word("")).returning(_m.seq))
        self.discard_messages = text(
            update(s.messages).where(ids, _m.state == _PARKED)
            .values(state=word(MessageState.DISCARDED), since=bindparam("at")).returning(_m.seq))
        chosen = among(_d.id, "ids")
        self.requeue_deliveries = text(
            update(s.deliveries).where(chosen, s.STUCK)
            .values(due_at=bindparam("due"), state=word(DeliveryState.PENDING), since=bindparam("at"),
                    reason=word(""), attempts=literal_column("0"), stands=literal_column("1")).returning(_d.id))
        self.settle_waiting = text(
            update(s.deliveries)
            .where(chosen, _d.state.in_(words([DeliveryState.PARKED, DeliveryState.PENDING])))
            .values(state=bindparam("new_state"), since=bindparam("at"), reason=bindparam("why"),
                    stands=literal_column("0"))
            .returning(_d.id))
        whole = select(*MESSAGE_READ).select_from(MESSAGES)
        self.message_by_id = text(whole.where(_m.id == bindparam("id")))
        self.messages_between = text(
            whole.where(_m.id >= bindparam("first"), _m.id < bindparam("end")).limit(literal_column("2")))
        self.message_by_control_id = text(
            whole.where(_m.control_id == bindparam("control_id"))
            .order_by(_m.seq.desc()).limit(literal_column("1")))
        self.raw_bytes = text(select(s.raws.c.body).select_from(MESSAGES).where(_m.id == bindparam("id")))
        self.deliveries_of = text(
            select(*DELIVERY_READ).where(among(_d.message_seq, "seqs")).order_by(_d.message_seq, _d.id))
        self.attempts_of = text(
            select(*(s.attempts.c[name] for name in ATTEMPT)).where(among(s.attempts.c.delivery_id, "ids"))
            .order_by(s.attempts.c.delivery_id, s.attempts.c.started_at, s.attempts.c.number))
        self.events_of = text(
            select(_e.body).select_from(s.messages.join(s.events, _e.message_seq == _m.seq))
            .where(ids).order_by(_e.seq))
        self.decisions_of = text(
            select(*(s.decisions.c[name] for name in DECISION)).where(among(s.decisions.c.event_id, "ids"))
            .order_by(s.decisions.c.at, s.decisions.c.id))

        # tidying up, some messages at a time
        of = among(_d.message_seq, "seqs")
        self.finished = text(
            select(_m.seq).where(
                _m.received_at < bindparam("before"), _m.state.in_(words(FINISHED)),
                ~exists().where(_d.message_seq == _m.seq, s.OPEN),
                ~exists().where(_e.message_seq == _m.seq, _e.published == s.NO))
            .order_by(_m.received_at).limit(bindparam("limit")))
        st = s.states.c
        self.subjects_over = text(
            select(_e.subject_key).distinct()
            .select_from(s.events.outerjoin(s.states, st.subject_key == _e.subject_key))
            .where(among(_e.message_seq, "seqs"),
                   or_(st.closed == literal_column("1"), st.subject_key.is_(None))))
        orphans = [among(_e.subject_key, "keys"), ~exists().where(_m.seq == _e.message_seq)]
        self.forget = (
            text(delete(s.attempts).where(s.attempts.c.delivery_id.in_(select(_d.id).where(of)))),
            text(delete(s.deliveries).where(of)),
            text(delete(s.raws).where(among(s.raws.c.message_seq, "seqs"))),
            text(delete(s.messages).where(among(_m.seq, "seqs"))))
        self.forget_subjects = (
            text(delete(s.decisions).where(
                s.decisions.c.event_id.in_(select(_e.id).where(*orphans)))),
            text(delete(s.events).where(*orphans)))

        self.tasks = TaskStatements(shapes)
        self.numbers = NumberStatements(shapes)
        setting = select(s.settings.c.value).where(s.settings.c.name == bindparam("name"))
        self.setting = text(setting)
        self.new_setting = insert(s.settings, ("name", "value"))
        self.revision = text(select(s.revisions.c.body).where(s.revisions.c.digest == bindparam("digest")))
        self.keep_revision = insert(s.revisions, ("digest", "body"))

    @staticmethod
    def _next_seqs(postgres: bool) -> ClauseElement:
        """The next `n` numbers in the order of acceptance. On SQLite the answer is the last of them."""
        if postgres:
            numbers = func.generate_series(literal_column("1"), bindparam("n")).table_valued("value")
            return select(func.nextval(literal_column("'message_seq'"))).select_from(numbers)
        return (update(s.counters).where(s.counters.c.name == word("message_seq"))
                .values(value=s.counters.c.value + bindparam("n")).returning(s.counters.c.value))


def every(statements: Statements | TaskStatements | NumberStatements) -> dict[str, Statement]:
    """All statements by name: for tests that ask the planner about each of them."""
    found: dict[str, Statement] = {}
    for name, value in vars(statements).items():
        if isinstance(value, Statement):
            if not value.text.startswith("LOCK"):  # a lock has no plan
                found[name] = value
        elif isinstance(value, TaskStatements | NumberStatements):
            found |= every(value)
        elif isinstance(value, tuple):
            found |= {f"{name}_{number}": one for number, one in enumerate(value)}
    return found
