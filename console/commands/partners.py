"""simulate, demo: partners that speak the real protocols, and misbehave on request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from console.exits import OK, PROBLEMS
from console.frame import AsJson, UserError, finish, wait
from console.house import House
from console.output import Output
from console.screens import partners as screen

Faults = Annotated[list[str] | None, typer.Option(
    "--fault", help="What goes wrong and when, repeatable: '503:5 first 3', 'ae:101 at 7', 'lost rate 2%'.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")]


def register(app: typer.Typer, house: House) -> None:
    """Add the commands."""
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
        spoil_every: Annotated[int, typer.Option(min=0, help="Break every so many bookings; 0: none.")] = 0,
        as_json: AsJson = False,
    ) -> None:
        """Send scheduling and registration histories over MLLP. Exit code 1 where one is not accepted."""
        host, _, port = peer.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65535:
            raise UserError(f"{peer}: not HOST:PORT", "for example 127.0.0.1:2575")
        view = wait(house.feed(host.strip("[]"), int(port), style=style, count=count, rate=rate,
                               connections=connections, seed=seed, spoil_every=spoil_every))
        Output(as_json).show(view, screen.fed)
        finish(OK if view.ok else PROBLEMS)

    for name, summary in (("downstream", "An HL7 v2 system that takes messages over MLLP, until Ctrl-C."),
                          ("fhir", "A FHIR R4 scheduling server, until Ctrl-C."),
                          ("erp", "An ERP endpoint that takes JSON, until Ctrl-C."),
                          ("payer", "A payer that answers 270 and 278 in the CORE envelope, until Ctrl-C.")):
        group.command(name, help=summary)(_listener(house, name))

    @app.command()
    def demo(
        messages: Annotated[int, typer.Option(min=40, max=5000, help="Of each EHR.")] = 120,
        folder: Annotated[Path | None, typer.Option(help="Where it plays; emptied first. Default: var/demo of "
                                                    "the checkout.")] = None,
    ) -> None:
        """Play the main job on the embedded default: real protocols, simulated partners, faults on purpose.

        Takes under a minute and leaves nothing running; its ledger stays to look around in.
        """
        finish(OK if wait(house.demo(messages, folder)) else PROBLEMS)


def _listener(house: House, name: str) -> Callable[..., None]:
    def listen(port: Port = 0, fault: Faults = None) -> None:
        output = Output()
        try:
            wait(house.simulate(name, port, fault or (), lambda taken: output.note(
                f"{name} listens on 127.0.0.1:{taken}; Ctrl-C ends it")))
        except ValueError as error:  # a fault rule that cannot be read
            raise UserError(str(error)) from None
        except OSError as error:
            raise UserError(f"port {port}: {error.strerror}", "another --port, or 0 for a free one") from None

    return listen
