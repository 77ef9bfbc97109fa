"""simulate: partners that speak the real protocols, and misbehave on request."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Annotated

import msgspec
import typer
from rich.console import RenderableType
from rich.text import Text

from console.exits import OK, PROBLEMS
from console.frame import AsJson, UserError, finish, wait
from console.output import Output
from simulators.ehr import Ehr, feed
from simulators.serve import serve
from simulators.styles import STYLES

Fault = Annotated[list[str] | None, typer.Option(
    help="What goes wrong and when, repeatable: '503:5 first 3', 'ae:101 at 7', 'lost rate 2%'. See "
         "simulators/faults.py.")]


class Fed(msgspec.Struct, kw_only=True):
    """What an EHR's sending came to."""

    sent: int
    accepted: int
    refused: dict[str, int]
    repeated: int
    stray: int
    given_up: list[str]


def _fed(view: Fed) -> RenderableType:
    text = Text(f"sent {view.sent}, accepted {view.accepted}")
    for code, count in view.refused.items():
        text.append(f", {count} {code}", style="red")
    if view.repeated:
        text.append(f", {view.repeated} sent again", style="yellow")
    if view.given_up:
        text.append(f", no answer at all for {', '.join(view.given_up)}", style="bold red")
    return text


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Simulated partners, with faults on request.")
    app.add_typer(group, name="simulate")

    @group.command()
    def ehr(
        peer: Annotated[str, typer.Argument(metavar="HOST:PORT", help="The engine's MLLP port.")],
        style: Annotated[str, typer.Option(help="Whose way of writing: mercy or lakeside.")] = "mercy",
        count: Annotated[int, typer.Option(min=1, help="Messages.")] = 100,
        rate: Annotated[float, typer.Option(min=0, help="Messages a second; 0: as fast as it goes.")] = 0,
        connections: Annotated[int, typer.Option(min=1, max=1000)] = 1,
        seed: Annotated[int, typer.Option(help="Same seed, same messages.")] = 1,
        spoil_every: Annotated[int, typer.Option(min=0, help="Break every so many bookings.")] = 0,
        as_json: AsJson = False,
    ) -> None:
        """Send scheduling and registration histories over MLLP. Exit code 1 where one is not accepted."""
        host, _, port = peer.rpartition(":")
        if style not in STYLES or not host or not port.isdigit():
            raise UserError(f"{peer} --style {style}: cannot send so",
                            f"HOST:PORT, and one of {', '.join(STYLES)}")
        messages = islice(Ehr(style, seed=seed, spoil_every=spoil_every).histories(), count)
        tally = wait(feed(messages, host, int(port), connections=connections, per_second=rate))
        view = Fed(sent=tally.sent, accepted=tally.accepted, refused=dict(tally.refused),
                   repeated=tally.repeated, stray=tally.stray, given_up=tally.given_up)
        Output(as_json).show(view, _fed)
        finish(OK if view.accepted == view.sent else PROBLEMS)

    for name, summary in (("downstream", "An HL7 v2 system that takes messages over MLLP, until Ctrl-C."),
                          ("fhir", "A FHIR R4 scheduling server, until Ctrl-C."),
                          ("erp", "An ERP endpoint that takes JSON, until Ctrl-C.")):
        group.command(name, help=summary)(_listener(name))


def _listener(name: str) -> Callable[..., None]:
    def listen(port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
               fault: Fault = None) -> None:
        output = Output()
        try:
            wait(serve(name, port, fault or (), ready=lambda taken: output.note(
                f"{name} listens on 127.0.0.1:{taken}; Ctrl-C ends it")))
        except ValueError as error:
            raise UserError(str(error)) from None
        except OSError as error:
            raise UserError(f"port {port}: {error.strerror}", "another --port, or 0 for a free one") from None

    return listen
