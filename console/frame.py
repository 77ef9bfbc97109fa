"""What every command shares: its options, its errors, and the way it ends.

No traceback ever reaches a user: what may go wrong in normal life has its own sentence, what may not is one
line that names the type and the place of the error, not its text (which could hold PHI).
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from typer.exceptions import Abort, Exit, TyperException

from canonical.findings import Rejection
from console.exits import INTERRUPTED, OK, USAGE
from console.output import Output, fault_line
from store.ledger import LedgerUnavailable

T = TypeVar("T")

DEFAULT_CONFIG: Final = Path("config/demo")

Config = Annotated[Path, typer.Option("--config", "-c", envvar="DRAGOMAN_CONFIG", metavar="DIR",
                                      help="Folder of the site's configuration.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of a screen.")]


class UserError(Exception):
    """Something the user can put right: `text` says what, `hint` how."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(f"{text} ({hint})" if hint else text)


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Run the asynchronous part of a command."""
    return asyncio.run(work)


def finish(code: int) -> None:
    """End the command with an exit code (`console.exits`)."""
    if code != OK:
        raise Exit(code)


def _place(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"


def run(app: typer.Typer, arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code, prints errors as single lines on standard error."""
    output = Output()
    try:
        # Without its standalone mode typer answers `Exit` with the code as its result.
        code = app(args=list(arguments) if arguments is not None else None, prog_name="dragoman",
                   standalone_mode=False)
    except Rejection as rejection:
        for finding in rejection.findings:
            output.fault(fault_line(finding))
        return USAGE
    except (UserError, LedgerUnavailable) as error:
        output.fault(str(error))
        return USAGE
    except TyperException as error:
        output.fault(f"{error.format_message()} (dragoman --help)")
        return USAGE
    except (KeyboardInterrupt, Abort):
        output.fault("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return OK
    except Exception as error:  # the last door: nothing may reach the user as a traceback
        output.fault(f"this is a fault of Dragoman: {type(error).__name__} at {_place(error)} "
                     "(please report the command you typed and this line)")
        return USAGE
    return code if isinstance(code, int) else OK
