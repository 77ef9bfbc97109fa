"""Tasks on a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from console.screens.style import many, short, table, word
from console.views.tasks import EvidenceView, JudgedList, TaskList, TaskRow, TaskView


def _due(row: TaskRow) -> Text:
    text = Text(short(row.due))
    if row.overdue:
        text.append(" overdue", style="bold red")
    return text


def task_list(view: TaskList) -> RenderableType:
    """The most urgent first, one line a task."""
    queues = Text(", ".join(f"{queue} {count}" for queue, count in view.queues.items()), style="dim")
    if not view.tasks:
        return Group(Text("no such task", style="green"), queues) if view.queues else Text("no task waits", style="green")
    grid = table("id", "prio", "due (UTC)", "queue", "status", "who", "why")
    for row in view.tasks:
        why = Text(row.reason)
        if row.blocks:
            why.append("  blocks", style="bold red")
        grid.add_row(row.id, str(row.priority), _due(row), row.queue, word(row.status), row.assignee, why)
    return Group(grid, queues)


def _evidence(root: Tree, one: EvidenceView) -> None:
    sure = f"{one.confidence / 10:.0f} %" if one.confidence is not None else "not read"
    node = root.add(Text.assemble((one.field, "bold"), f": {one.value or 'nothing'}  ({sure})"))
    if one.raw:
        node.add(Text(f"on the page: {one.raw}"))
    if one.page:
        left, top, width, height = one.box
        node.add(Text(f"page {one.page}, {left / 10:.1f} % from the left, {top / 10:.1f} % from the top, "
                      f"{width / 10:.1f} by {height / 10:.1f} %", style="dim"))
    for other in one.alternatives:
        node.add(Text(f"or: {other}"))
    for check in one.checks:
        node.add(Text(check, style="red" if ": invalid" in check else "dim"))
    if one.template:
        node.add(Text(f"found by {one.template}", style="dim"))


def task_view(view: TaskView) -> RenderableType:
    """One task on one screen."""
    row = view.task
    root = Tree(Text.assemble((row.id, "bold"), " ", (row.reason, "bold"), " ", word(row.status)))
    root.add(Text.assemble("queue ", (row.queue, "bold"), f", priority {row.priority}", f", since {short(row.created)} UTC",
                           f", due {short(row.due)}" if row.due else "", (" overdue", "bold red") if row.overdue else ""))
    if row.assignee and not view.outcome:
        root.add(Text(f"held by {row.assignee} until {short(row.claimed_until)}"))
    if row.blocks:
        root.add(Text("blocks: the case must not go on before it is answered", style="bold red"))
    root.add(Text(f"about {', '.join(view.subjects)}"))
    for one in view.evidence:
        _evidence(root, one)
    if view.differences:
        grid = table("field", "ours", "theirs")
        for difference in view.differences:
            grid.add_row(difference.field, difference.ours, difference.theirs)
        root.add(grid)
    if view.outcome:
        root.add(Text(f"{view.outcome} by {view.completed_by or 'itself'}, {short(view.completed)} UTC", style="green"))
    if view.note:
        root.add(Text(f"note: {view.note}"))
    for touched in view.touched_by:
        root.add(Text.assemble(("people: ", "bold"), touched))
    if view.playbook:
        root.add(Text(f"what to do: docs/workflow.md#{view.playbook}", style="dim"))
    if row.message:
        root.add(Text.assemble("came from: ", (f"dragoman show {row.message}", "cyan")))
    for command in view.commands:
        root.add(Text.assemble("do: ", (command, "cyan")))
    return root


def judged(view: JudgedList) -> RenderableType:
    """Bands first: what was promised, and what people found."""
    if not view.judged:
        return Text("no field has been judged by a person yet")
    grid = table("confidence", "right", "of", "share")
    for band, (right, count) in view.bands.items():
        grid.add_row(band, str(right), str(count), f"{right / count:.0%}")
    return Group(grid, Text(f"{many(len(view.judged), 'field')} judged; --json lists each", style="dim"))
