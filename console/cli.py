"""Dragoman, an interface engine for the scheduling and administrative work of health systems.

Exit codes: 0 done; 1 done and found problems; 2 not done (usage, configuration, a port in use, the database
away); 130 interrupted. Commands that look at a site take --config DIR; those that answer take --json.
"""

from __future__ import annotations

import typer

from console.commands import answered, audit, hours, impact, look, partners, release, replay, run, send, skip, tables, tasks
from console.house import House


def build(house: House) -> typer.Typer:
    """All commands, answered by `house`."""
    app = typer.Typer(name="dragoman", help=__doc__, no_args_is_help=True, add_completion=True,
                      pretty_exceptions_enable=False, rich_markup_mode=None)
    for group in (run, tables, look, hours, impact, answered, replay, skip, release, tasks, audit, send, partners):
        group.register(app, house)
    return app
