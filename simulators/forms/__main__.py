"""Write generated faxes to a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simulators.forms.fax import Quality
from simulators.forms.form import make, write


def main(
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("var/forms"),
    seed: Annotated[int, typer.Option(help="Of the first fax; the others follow.")] = 1,
    count: Annotated[int, typer.Option(min=1)] = 10,
    quality: Annotated[Quality, typer.Option()] = Quality.STANDARD,
    patients: Annotated[int, typer.Option(min=1, max=5, help="Referrals in one fax.")] = 1,
    layout: Annotated[str, typer.Option(help="lakeside, northgate or harbor; empty: any.")] = "",
    kind: Annotated[str, typer.Option(help="tiff, pdf or png (first page).")] = "tiff",
) -> None:
    """Generated referral faxes with the truth beside them; the same seed gives the same faxes."""
    for number in range(seed, seed + count):
        pages, fax = make(number, quality, patients=patients, layout=layout)
        typer.echo(write(out, f"fax-{quality}-{number}", pages, fax, kind))


if __name__ == "__main__":
    typer.run(main)
