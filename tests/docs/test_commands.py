"""Commands in the documentation exist and take the arguments that are shown; the quick ones are run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

import app
from tests.docs.pages import ROOT, blocks, commands, pages

_OURS = [(page, line) for page, line in commands() if line.split()[0] in {"dragoman", "make"}]
#: Need nothing but the checkout and end by themselves.
_QUICK = {"check", "test", "explain", "try"}
#: Whatever else a console block may show.
_KNOWN = {"dragoman", "make", ".", "export", "docker", "git"}


def _parse(words: list[str]) -> None:
    """Parse as the command line would, without running anything."""
    command: Any = typer.main.get_command(app.command_line())
    parent = None
    name = "dragoman"
    while True:
        context = command.make_context(name, list(words), parent=parent)
        if not hasattr(command, "resolve_command"):
            return
        name, command, words = command.resolve_command(context, [*context._protected_args, *context.args])
        parent = context


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_documentation_shows_commands() -> None:
    assert len(_OURS) > 10
    assert {line.split()[0] for _, line in commands()} <= _KNOWN


@pytest.mark.parametrize(("page", "line"), _OURS, ids=[f"{page}: {line}" for page, line in _OURS])
def test_a_shown_command_exists(page: str, line: str) -> None:
    words = shlex.split(line)
    if words[0] == "make":
        assert {word for word in words[1:] if "=" not in word} <= _targets()
    elif words[1:] not in (["--help"], []):
        _parse(words[1:])


_RUN = sorted({line for _, line in _OURS if line.split()[0] == "dragoman" and line.split()[1] in _QUICK})


@pytest.mark.parametrize("line", _RUN)
def test_a_quick_command_does_what_is_shown(line: str, tmp_path: Path) -> None:
    environment = {**os.environ, "NO_COLOR": "1",
                   "DRAGOMAN_DATABASE": f"sqlite:///{tmp_path / 'ledger.sqlite3'}"}
    done = subprocess.run([sys.executable, "-m", "app", *shlex.split(line)[1:]], cwd=ROOT, env=environment,
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout.strip()


def test_shell_sessions_are_marked_as_such() -> None:
    """A dragoman command in an unmarked block would not be checked."""
    unmarked = [str(page.relative_to(ROOT)) for page in pages() for block in blocks(page, "")
                if re.search(r"^\$ (dragoman|make) ", block, re.MULTILINE)]
    assert unmarked == []
