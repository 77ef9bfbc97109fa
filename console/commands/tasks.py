"""tasks: questions that wait for people, and their answers."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from console import person
from console.commands.pieces import piece, write
from console.exits import OK, PROBLEMS
from console.frame import DEFAULT_CONFIG, AsJson, Config, UserError, finish, wait
from console.house import House, TaskShop
from console.output import Output
from console.screens import tasks as screen
from console.views.tasks import JudgedList, TaskList, TaskView, judged_list, task_list, task_view
from router.desk import Refusal
from store.ledger import Desk
from store.records import StoredTask, TaskQuery

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the task, or a unique beginning of it.")]
Note = Annotated[str, typer.Option(help="What you found; kept with the task and in the audit trail.")]
Act = Callable[[TaskShop, StoredTask], Awaitable[StoredTask]]


async def one(desk: Desk, name: str) -> StoredTask:
    """The task a user named."""
    task = await desk.task(name)
    if task is None:
        raise UserError(f"{name}: no such task", "dragoman tasks list shows ids; a unique beginning is enough")
    return task


def register(app: typer.Typer, house: House) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Tasks: list, show, claim, answer.")
    app.add_typer(group, name="tasks")

    @group.command("list")
    def list_tasks(
        config: Config = DEFAULT_CONFIG,
        queue: Annotated[str, typer.Option(help="Only this queue.")] = "",
        kind: Annotated[str, typer.Option("--type", help="Only this type: review-field, eligibility …")] = "",
        why: Annotated[str, typer.Option("--reason", help="Only reasons that begin so: ELIGIBILITY:")] = "",
        mine: Annotated[bool, typer.Option("--mine", help="Only those you hold.")] = False,
        closed: Annotated[bool, typer.Option("--closed", help="Those that are answered or went away.")] = False,
        limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
        as_json: AsJson = False,
    ) -> None:
        """List what waits, the most urgent first. Exit code 1 where anything does."""
        query = TaskQuery(queue=queue, type=kind, reason=why, assignee=person.actor() if mine else "", closed=closed,
                          limit=limit)

        async def ask() -> TaskList:
            async with house.desk(config) as desk:
                return await task_list(desk, query, person.now())

        view = wait(ask())
        Output(as_json).show(view, screen.task_list)
        finish(PROBLEMS if view.tasks and not closed else OK)

    @group.command()
    def show(
        task: Id,
        config: Config = DEFAULT_CONFIG,
        reveal: Annotated[bool, typer.Option("--reveal", help="Show patient data. Audited.")] = False,
        reason: Annotated[str, typer.Option(help="Why you need to see it (with --reveal).")] = "",
        picture: Annotated[Path | None, typer.Option(metavar="OUT.png", help="Write the piece of the page that the field "
                                                     "was read from (with --reveal).")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Show one task: what is asked, on what evidence, and how it may be answered."""
        if picture is not None and not reveal:
            raise UserError("--picture shows what stands on the page", "--reveal, if that is wanted")
        why = person.reason(reason, "Why do you need to see patient data?") if reveal else ""

        async def ask() -> TaskView:
            async with house.desk(config) as desk:
                found = await one(desk, task)
                if reveal:
                    await desk.audit(person.entry("task.viewed", found.id, why))
                if picture is not None:
                    write(picture, await piece(desk, found, house.crop))
                return await task_view(desk, found, person.now(), reveal=reveal)

        Output(as_json).show(wait(ask()), screen.task_view)

    @group.command()
    def judged(
        config: Config = DEFAULT_CONFIG,
        limit: Annotated[int, typer.Option(min=1, max=100_000)] = 10_000,
        as_json: AsJson = False,
    ) -> None:
        """Show what people found of what the machine had read: for the thresholds of `review`."""

        async def ask() -> JudgedList:
            async with house.desk(config) as desk:
                closed = await desk.tasks(TaskQuery(type="review-field", closed=True, limit=limit))
                return judged_list(closed, reveal=False)

        Output(as_json).show(wait(ask()), screen.judged)

    def act(config: Path, task: str, what: Act, as_json: bool) -> None:
        async def do() -> TaskView:
            async with house.tasks(config) as shop:
                try:
                    changed = await what(shop, await one(shop.ledger, task))
                except Refusal as refusal:
                    raise UserError(f"{task}: {refusal.text}", f"docs/findings/{refusal.code}.md") from None
                return await task_view(shop.ledger, changed, person.now(), reveal=False)

        Output(as_json).show(wait(do()), screen.task_view)

    @group.command()
    def claim(task: Id, config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
        """Take a task: for eight hours nobody else can answer it."""
        act(config, task, lambda shop, found: shop.tasks.claim(found, person.actor()), as_json)

    @group.command()
    def release(task: Id, config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
        """Give a task back."""
        act(config, task, lambda shop, found: shop.tasks.release(found, person.actor()), as_json)

    @group.command()
    def correct(
        task: Id,
        value: Annotated[str, typer.Option(help="What the field really is; asked for where it is not given.")] = "",
        note: Note = "",
        config: Config = DEFAULT_CONFIG,
        as_json: AsJson = False,
    ) -> None:
        """Say what a field really is. The machine's value is kept; the flow goes on with yours."""
        said = value or _asked()
        act(config, task, lambda shop, found: shop.tasks.correct(found, person.actor(), said, note), as_json)

    @group.command()
    def confirm(task: Id, note: Note = "", config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
        """Say that a doubtful field is right as it was read."""
        act(config, task, lambda shop, found: shop.tasks.confirm(found, person.actor(), note), as_json)

    @group.command()
    def match(
        task: Id,
        to: Annotated[str, typer.Option(help="Trace number (TRN02) of the question it answers, or its key.")],
        note: Note = "",
        config: Config = DEFAULT_CONFIG,
        as_json: AsJson = False,
    ) -> None:
        """Say which question an answer belongs to that nobody could match."""
        act(config, task, lambda shop, found: shop.tasks.match(found, person.actor(), to, note), as_json)

    for outcome, text in (("done", "Say that the work is done."), ("reject", "Say that it will not be done."),
                          ("approve", "Let the engine do what it asked for."), ("appeal", "Say that an appeal was filed.")):
        group.command(outcome, help=text)(_finisher(outcome, act))


def _asked() -> str:
    """A value typed at the terminal, so that it is in no history of commands."""
    said = str(typer.prompt("What does the page say?", err=True)).strip() if sys.stdin.isatty() else ""
    if not said:
        raise UserError("a value is needed", "--value TEXT")
    return said


def _finisher(outcome: str, act: Callable[[Path, str, Act, bool], None]) -> Callable[..., None]:
    def run(task: Id, note: Note = "", config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
        act(config, task, lambda shop, found: shop.tasks.finish(found, person.actor(), outcome, note), as_json)

    return run
