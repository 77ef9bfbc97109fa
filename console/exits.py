"""Exit codes: part of the interface, a script may rely on them."""

from __future__ import annotations

from typing import Final

#: Done, and nothing is wrong.
OK: Final = 0
#: Done, and it found problems: failing mapping tests, a broken audit chain, messages that wait for people.
PROBLEMS: Final = 1
#: Not done: wrong usage, faulty configuration, a port in use, the database away. Nothing was changed.
USAGE: Final = 2
#: Interrupted by the user (128 + SIGINT, the shell's convention).
INTERRUPTED: Final = 130
