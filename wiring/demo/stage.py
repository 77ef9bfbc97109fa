"""The stage: a copy of the shipped site on free ports, which may be edited and thrown away."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).resolve().parent.parent.parent
#: Ports of ``config/demo/site.yaml``, by who listens there.
SHIPPED: Final = {"mercy": 2575, "lakeside": 2576, "harbor": 2577, "scheduler": 8081, "staffing": 8082}


class Stage(msgspec.Struct, frozen=True):
    """Where everything is."""

    folder: Path
    config: Path
    mappings: Path
    log: Path
    ports: dict[str, int]


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody holds now."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def build(folder: Path) -> Stage:
    """Make the stage in `folder`; whatever was there is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    config, mappings = folder / "config" / "demo", folder / "mappings"
    config.mkdir(parents=True)
    shutil.copytree(ROOT / "mappings", mappings)
    ports = dict(zip(SHIPPED, free_ports(len(SHIPPED)), strict=True))
    text = (ROOT / "config" / "demo" / "site.yaml").read_text(encoding="utf-8")
    for name, port in SHIPPED.items():
        if text.count(str(port)) != 1:
            raise ValueError(f"config/demo/site.yaml must name port {port} ({name}) exactly once")
        text = text.replace(str(port), str(ports[name]))
    (config / "site.yaml").write_text(text, encoding="utf-8")
    return Stage(folder, config, mappings, folder / "engine.log", ports)
