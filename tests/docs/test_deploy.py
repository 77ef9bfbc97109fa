"""What can be said about image and compose files without a container engine."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT
from wiring.assembly import assemble

_DEPLOY = ROOT / "deploy"
_COMPOSE = sorted(_DEPLOY.glob("compose*.yaml"))
_DOCKERFILE = (ROOT / "Dockerfile").read_text()


def _services(path: Path) -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load(path.read_text())["services"])


@pytest.mark.parametrize("path", _COMPOSE, ids=lambda path: path.name)
def test_ports_are_published_on_loopback_only(path: Path) -> None:
    ports = [port for service in _services(path).values() for port in service.get("ports", ())]
    assert ports
    assert [port for port in ports if not str(port).startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("image", [
    *(service["image"] for path in _COMPOSE for service in _services(path).values()),
    *re.findall(r"^FROM (\S+)", _DOCKERFILE, re.MULTILINE)])
def test_images_are_named_without_a_registry(image: str) -> None:
    assert re.fullmatch(r"[a-z]+(:[\w.-]+)?", image)


def test_the_stack_has_no_passwords_of_its_own(tmp_path: Path) -> None:
    """They are made by deploy/secrets.sh, different each time, for their owner's eyes only."""
    stack = (_DEPLOY / "compose.yaml").read_text()
    assert not re.search(r"password|_pass\b|guest", stack.replace("makes passwords", ""), re.IGNORECASE)
    made = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "secrets.sh").write_text((_DEPLOY / "secrets.sh").read_text())
        subprocess.run(["sh", str(folder / "secrets.sh")], check=True, capture_output=True)
        files = {file.name: file for file in (folder / "secrets").iterdir()}
        assert {file.stat().st_mode & 0o077 for file in files.values()} == {0}
        made.append({name: file.read_text() for name, file in files.items()})
    wanted = {file for service in _services(_DEPLOY / "compose.yaml").values() for file in service["env_file"]}
    assert {f"secrets/{name}" for name in made[0]} == wanted
    assert made[0]["dragoman.env"] != made[1]["dragoman.env"]


def test_the_site_of_the_stack_is_in_order_and_listens_where_compose_publishes() -> None:
    channel = assemble(_DEPLOY / "config").site.channels["ehr"]
    assert f"127.0.0.1:{channel.settings.port}:{channel.settings.port}" in _services(
        _DEPLOY / "compose.yaml")["intake"]["ports"]
    assert channel.settings.host == "0.0.0.0"


def test_secrets_are_never_overwritten(tmp_path: Path) -> None:
    script = tmp_path / "secrets.sh"
    script.write_text((_DEPLOY / "secrets.sh").read_text())
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    before = (tmp_path / "secrets" / "dragoman.env").read_text()
    again = subprocess.run(["sh", str(script)], check=False, capture_output=True)
    assert again.returncode == 1
    assert (tmp_path / "secrets" / "dragoman.env").read_text() == before


def test_the_image_holds_every_package_and_runs_as_nobody_in_particular() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = {pattern.rstrip("*") for pattern in settings["packages"]["find"]["include"]
                if (ROOT / pattern.rstrip("*")).is_dir()}
    copied = set(re.findall(r"^COPY (\w+) /opt/dragoman/", _DOCKERFILE, re.MULTILINE))
    assert packages | {"mappings", "config"} == copied
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{name}" for name in copied} <= set(ignored)
    assert re.findall(r"^USER (\S+)", _DOCKERFILE, re.MULTILINE)[-1] == "10001"
