"""The whole path of one message, drawn as a tree from its sender to every destination."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from console.screens.style import many, short, table, word
from console.views.findings import FindingView
from console.views.journey import DecisionView, DeliveryView, EventView, Journey, Lineage, LineageRow


def _line(*parts: str | Text) -> Text:
    return Text(" ").join(part if isinstance(part, Text) else Text(part) for part in parts if part)


def _finding(branch: Tree, finding: FindingView) -> None:
    place = " ".join(part for part in (finding.at, finding.field, finding.row) if part)
    leaf = branch.add(_line(word(finding.severity), Text(finding.code, style="bold"),
                            f"at {place}" if place else "", "–", finding.text))
    if finding.hint:
        leaf.add(Text(f"hint: {finding.hint}", style="italic"))
    leaf.add(Text(finding.page, style="dim"))


def _next(branch: Tree, sentence: str, command: str) -> None:
    if sentence:
        branch.add(_line(Text("next:", style="bold"), sentence))
    if command:
        branch.add(_line(Text("do:", style="bold"), Text(command, style="cyan")))


def _decision(branch: Tree, decision: DecisionView) -> None:
    body = dict(decision.body)
    revision = str(body.pop("revision", ""))[:12]
    said = "; ".join(f"{key} {_said(value)}" for key, value in body.items() if value not in ([], "", None))
    branch.add(_line(Text(f"decided by {decision.kind}:", style="bold"), said,
                     Text(f"(configuration {revision})" if revision else "", style="dim")))


def _said(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    if isinstance(value, dict):
        return " ".join(f"{key}={_said(item)}" for key, item in value.items())
    return str(value)


def _delivery(branch: Tree, delivery: DeliveryView) -> None:
    # Attempts that cost no budget (429, the peer is away) are not in the count, but they happened.
    count = max(delivery.attempts, len(delivery.tries))
    tried = f"after {many(count, 'attempt')}" if count else ""
    node = branch.add(_line("→", Text(delivery.destination, style="bold"), word(delivery.state), delivery.code,
                            tried, f"since {short(delivery.since)}" if delivery.since else "", delivery.reason))
    if delivery.state == "superseded":
        node.add(Text("not sent: a newer state of the same subject took its place", style="dim"))
    for attempt in delivery.tries:
        why = f"– {attempt.finding.text}" if attempt.finding else ""
        leaf = node.add(_line(f"attempt {attempt.number}", short(attempt.started_at), word(attempt.outcome),
                              attempt.code, f"({attempt.took})", why))
        if attempt.finding and attempt.finding.hint and delivery.state == "parked":
            leaf.add(Text(f"hint: {attempt.finding.hint}", style="italic"))
        if attempt.response:
            leaf.add(Text(f"answer: {attempt.response}", style="dim"))
    known = {attempt.finding.code for attempt in delivery.tries if attempt.finding}
    for finding in delivery.findings:
        if finding.code not in known:
            _finding(node, finding)
    _next(node, delivery.next, delivery.command)


def _event(branch: Tree, event: EventView) -> None:
    node = branch.add(_line("became", Text(event.type, style="bold green"), "of", event.subject,
                            f"({event.id})"))
    node.add(Text(f"occurred {event.occurred_at}; version {event.version} by {event.basis}; "
                  f"mapping revision {event.revision[:12]}", style="dim"))
    for decision in event.decisions:
        _decision(node, decision)
    for delivery in event.deliveries:
        _delivery(node, delivery)


def lineage(view: Lineage) -> RenderableType:
    """Where every canonical leaf came from, and what nobody read."""
    parts: list[RenderableType] = []
    if view.rows:
        grid = table("field", "value", "from", "by", title="lineage")
        for line in view.rows:
            source = line.source if line.how in {"value", ""} else f"{line.source} ({line.how})".strip()
            grid.add_row(line.field, line.value, source,
                         f"{line.row} and {line.code_row}" if line.code_row else line.row)
        parts.append(grid)
    return Group(*parts, *_remarks(view))


def lineage_in_short(view: Lineage) -> RenderableType:
    """The same, a line a field of the entity: which fields of the message it was made of."""
    grid = table("field", "leaves", "from", title="lineage")
    fields: dict[str, list[LineageRow]] = {}
    for line in view.rows:
        fields.setdefault(line.field.partition(".")[0].partition("(")[0], []).append(line)
    for name, lines in fields.items():
        sources = dict.fromkeys(_field_of(line.source) or line.how for line in lines)
        grid.add_row(name, str(len(lines)), ", ".join(sources))
    more: list[RenderableType] = [grid, Text("every leaf with its table row: --lineage", style="dim")] if fields else []
    return Group(*more, *_remarks(view))


def _field_of(source: str) -> str:
    """``RESOURCES/SERVICE(2)/AIS-3.1`` is in ``AIS-3``."""
    segment, dash, field = source.rpartition("/")[2].partition("-")
    return f"{segment}-{field.partition('.')[0]}" if dash else segment


def _remarks(view: Lineage) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if view.unread:
        parts.append(_line(Text("unread input:", style="bold"), ", ".join(view.unread)))
    if view.note:
        parts.append(Text(view.note, style="dim"))
    return parts


def journey(view: Journey, *, full: bool = False) -> RenderableType:
    """One message on one screen. `full`: the lineage leaf by leaf."""
    line = view.message
    root = Tree(_line(Text(line.id, style="bold"), Text(line.type, style="bold"), word(line.state),
                      line.reason))
    root.add(_line("received", short(line.received_at), "on channel", Text(line.channel, style="bold"), "from",
                   view.sender or "an unnamed sender", f"at {view.peer}" if view.peer else "",
                   f"({view.bytes} bytes, control id {line.control_id or 'none'})"))
    root.add(_line("answered", line.ack or "nothing"))
    if view.replay_of:
        root.add(_line("is a replay of", view.replay_of))
    for finding in view.findings:
        _finding(root, finding)
    for event in view.events:
        _event(root, event)
    for task in view.tasks:
        node = root.add(_line(Text("task:", style="bold"), task.reason, word(task.status), task.assignee))
        _next(node, "", f"dragoman tasks show {task.id}")
    for touched in view.touched_by:
        root.add(_line(Text("people:", style="bold"), touched))
    _next(root, view.next, view.command)
    parts: list[RenderableType] = [root]
    if view.lineage:
        parts += [Text(), lineage(view.lineage) if full else lineage_in_short(view.lineage)]
    if view.raw:
        parts += [Text(), Text("as received", style="bold"), Text(view.raw)]
    return Group(*parts)
