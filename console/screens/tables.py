"""Tables on a terminal: faults as compilers write them, cases, tries, and the flat table."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from console.screens.journey import lineage
from console.screens.style import many, table, word
from console.views.findings import FindingView
from console.views.journey import Lineage
from console.views.tables import Checked, Tested, Tried, TriedEvent, WouldSend
from mapper.explain import Explained, ExplainedRow


def _fault(view: FindingView) -> Text:
    line = Text.assemble(f"{view.row or view.at}: ", word(view.severity), f" {view.text}")
    if view.hint:
        line.append(f" ({view.hint})", style="italic")
    return line.append(f"  [{view.code}]", style="dim")


def checked(view: Checked) -> RenderableType:
    """One line a finding, then the sum."""
    sum_ = Text(f"{many(view.tables, 'table')}, {many(view.sites, 'site')}: "
                f"{many(len(view.findings), 'finding')}", style="green" if view.ok else "bold red")
    return Group(*map(_fault, view.findings), sum_)


def tested(view: Tested) -> RenderableType:
    """Every expectation that was not met, then the sum."""
    parts: list[RenderableType] = [_fault(problem) for problem in view.problems]
    case = ""
    for failure in view.failures:
        if failure.case != case:
            case = failure.case
            parts.append(Text.assemble(("FAILED ", "bold red"), (case, "bold")))
        what = Text(f"    {failure.row}: {failure.what}: ")
        if failure.expected:
            what = Text.assemble(what, "expected ", (failure.expected, "green"), ", got ")
        parts.append(Text.assemble(what, (failure.actual, "red")))
    parts.append(Text(f"{view.passed} passed, {view.failed} failed, in {many(view.files, 'file')}",
                      style="green" if view.ok else "bold red"))
    return Group(*parts)


def _event(event: TriedEvent) -> RenderableType:
    head = Text.assemble((event.type, "bold green"), " of ", (event.subject, "bold"))
    about = Text(f"occurred {event.occurred_at}; version {event.version} by {event.basis}"
                 + (f"; patient {event.patient}" if event.patient else ""), style="dim")
    return Group(head, about, lineage(Lineage(rows=event.lineage)), Text())


def _sent(sent: WouldSend) -> RenderableType:
    head = Text.assemble("would send ", (sent.event, "bold"), f" with {sent.table}")
    for name, value in sent.attributes.items():
        head.append(f"\n{name}: {value}", style="dim")
    parts: list[RenderableType] = [head, Text(sent.body)]
    if sent.unwritten:
        parts.append(Text(f"not written: {', '.join(sent.unwritten)}", style="dim"))
    return Group(*parts, *map(_fault, sent.findings), Text())


def tried(view: Tried) -> RenderableType:
    """Events, what nobody read, findings, and what would be sent."""
    parts: list[RenderableType] = [_event(event) for event in view.events]
    if not view.events and view.ok:
        parts.append(Text("the table ignores this message: no event", style="yellow"))
    if view.unread and view.events:  # without an event nothing was read, and the finding says why
        parts.append(Text.assemble(("unread input: ", "bold"), ", ".join(view.unread)))
    parts += [_fault(finding) for finding in view.findings]
    parts += [_sent(sent) for sent in view.sent]
    if not view.ok:
        parts.append(Text("such a message is parked", style="bold red"))
    return Group(*parts)


def _where(row: ExplainedRow) -> str:
    return f"{row.file}:{row.line}"


def explained(view: Explained) -> RenderableType:
    """The flat table: every cell with its file and line."""
    grid = table("field", "cell", "is", "stands in", title=f"{view.mapping}  ({', '.join(view.files)})")
    for cell in view.header:
        grid.add_row("", Text(cell.key, style="dim"), Text(cell.text), f"{cell.file}:{cell.line}:{cell.column}")
    for row in view.rows:
        name = Text(row.field, style="bold" if not row.removed else "strike dim")
        if row.alternative > 1:
            name = Text(f"  or ({row.alternative})", style="dim")
        if row.removed:
            grid.add_row(name, "removed", Text(row.removed), _where(row))
            continue
        if not row.cells:
            grid.add_row(name, "", "", _where(row))
        for number, cell in enumerate(row.cells):
            grid.add_row(Text() if number else name, Text(cell.key), Text(cell.text),
                         f"{cell.file}:{cell.line}:{cell.column}")
    return grid
