"""The command line. Exit codes: 0 done, 1 done and found problems, 2 not done (usage, configuration, a port in
use, the database away), 130 interrupted."""

from __future__ import annotations

import typer

from console.commands import audit, look, replay, send, skip
from console.house import House


def build(house: House) -> typer.Typer:
    """All commands of the console, answered by `house`."""
    app = typer.Typer(name="dragoman", help=__doc__, no_args_is_help=True, add_completion=True,
                      pretty_exceptions_enable=False, rich_markup_mode=None)
    look.register(app, house)
    send.register(app, house)
    replay.register(app, house)
    skip.register(app, house)
    audit.register(app, house)
    return app
