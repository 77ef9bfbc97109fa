"""How fast partners answer, and what is overdue: one line each."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from console.screens.style import short, table
from console.views.hours import WITHIN_S, HoursView, PartnerHours


def hours(view: HoursView) -> RenderableType:
    """A table, and below it what is overdue."""
    if not view.partners:
        return Text("no destination has a trading partner", style="dim")
    grid = table("destination", "partner", "answered", f"within {WITHIN_S} s", "no answer", "slowest",
                 title=f"{short(view.since)} to {short(view.until)} UTC")
    for one in view.partners:
        grid.add_row(one.destination, one.partner, str(one.answered), _share(one), str(one.unanswered),
                     f"{one.longest_s:.1f} s" if one.answered else "")
    return Group(grid, *(line for one in view.partners for line in _overdue(one)))


def _share(one: PartnerHours) -> Text:
    if one.share is None:
        return Text("")
    return Text(f"{one.share:.1%}", style="green" if one.ok else "bold red")


def _overdue(one: PartnerHours) -> list[Text]:
    said = [(one.acknowledgements_overdue, "not acknowledged in time"), (one.answers_overdue, "not answered in time")]
    return [Text(f"{one.destination}: {count} {what} (the oldest sent {short(one.oldest)} UTC)", style="bold red")
            for count, what in said if count]
