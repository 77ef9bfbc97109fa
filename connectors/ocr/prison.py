"""The reading process gives up what it does not need, before it looks at a byte of the document (Z16).

Limits of memory, processor time and files; the lowest privileges it can have; no network; and it does not survive the
engine. Each is done where the system lets us: as root all of it, as a common user what a common user may.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from typing import Final

_NOBODY: Final = 65534
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_CLONE_NEWNET: Final = 0x4000_0000
_CLONE_NEWIPC: Final = 0x0800_0000
_FILES: Final = 64
_LAST_WORDS_S: Final = 5


def enter(memory_mb: int, cpu_s: float, priority: int) -> None:
    """Enter for good.

    Args:
        memory_mb: address space, MiB.
        cpu_s: processor seconds.
        priority: nice value.
    """
    os.nice(priority)
    _limit(resource.RLIMIT_AS, memory_mb * 1024 * 1024)
    _limit(resource.RLIMIT_CPU, max(1, int(cpu_s)), _LAST_WORDS_S)  # first SIGXCPU, which tells why, then SIGKILL
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _FILES)
    libc = ctypes.CDLL(None, use_errno=True)
    _outlive_nobody(libc)
    if os.geteuid() == 0:
        _unprivileged(libc)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _outlive_nobody(libc: ctypes.CDLL) -> None:
    """End with the engine, however it ends: nobody would read what we find."""
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def _unprivileged(libc: ctypes.CDLL) -> None:
    if hasattr(libc, "unshare"):
        libc.unshare(_CLONE_NEWNET | _CLONE_NEWIPC)
    with contextlib.suppress(OSError):  # a container may not let us: then the limits alone hold
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
        _outlive_nobody(libc)  # changing the user forgets it
        _limit(resource.RLIMIT_NPROC, 0)


def _limit(what: int, value: int, grace: int = 0) -> None:
    _, hard = resource.getrlimit(what)
    most = value + grace
    if hard != resource.RLIM_INFINITY:
        value, most = min(value, hard), min(most, hard)
    with contextlib.suppress(ValueError, OSError):  # macOS has no RLIMIT_AS to speak of
        resource.setrlimit(what, (value, most))
