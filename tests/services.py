"""PostgreSQL and RabbitMQ for tests and benchmarks: found where they answer, else started, always on loopback.

``python -m tests.services`` (a part of ``make test``) makes sure that both are there and prints where. In this
order: the address in ``DRAGOMAN_TEST_POSTGRES`` or ``DRAGOMAN_TEST_RABBITMQ``; whatever answers as such on the
usual port of 127.0.0.1; an instance that an earlier run started; a new instance from installed programs, which
root gets from apt; a container engine's compose. ``DRAGOMAN_TEST_SERVICES=own`` skips what others started.

What was started here stays for the next run and ends with ``python -m tests.services stop``; nothing else is
ever stopped. A test that restarts or kills a server takes a `PostgresServer` or `RabbitServer` of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

import pika
import pika.exceptions
import psycopg

ROOT: Final = Path(__file__).parent.parent
POSTGRES: Final = "postgresql://postgres@127.0.0.1:5432/postgres"
RABBITMQ: Final = "amqp://guest:guest@127.0.0.1:5672/%2F"
COMPOSE: Final = ROOT / "deploy" / "compose.services.yaml"


class ServiceMissing(Exception):  # noqa: N818 - the machine lacks something; the text says what to do
    """A service neither answers nor can be started here."""


# -- who answers --------------------------------------------------------------------------------------------


def postgres_answers(url: str) -> bool:
    """True where a PostgreSQL lets us in at `url`: an open port alone proves nothing."""
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            return connection.execute("select 1").fetchone() == (1,)
    except psycopg.Error:
        return False


def rabbitmq_answers(url: str) -> bool:
    """True where an AMQP broker lets us in at `url`."""
    parameters = pika.URLParameters(url)
    parameters.socket_timeout = parameters.blocked_connection_timeout = 3
    parameters.stack_timeout = 5
    try:
        pika.BlockingConnection(parameters).close()
    except (pika.exceptions.AMQPError, OSError):
        return False
    return True


def free_port() -> int:
    """A port of 127.0.0.1 that nobody holds now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# -- servers of our own -------------------------------------------------------------------------------------


class Server(Protocol):
    """A server process of ours, in a folder of ours."""

    @property
    def url(self) -> str:
        """Where it answers once started; stable over restarts."""

    def running(self) -> bool:
        """True between a successful start and its end, whichever process started it."""

    def start(self) -> None:
        """Start and wait until it answers. Again has no effect."""

    def stop(self) -> None:
        """Stop in good order."""

    def kill(self) -> None:
        """End it as a power cut would: no shutdown, no flush."""


class _Owned:
    """A folder, and the unprivileged user that owns it: both servers refuse to run as root, or should."""

    def __init__(self, directory: Path, user: str) -> None:
        self.directory = directory
        self.log = directory / "server.log"
        self._user = user if os.geteuid() == 0 else None

    def _prepare(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            shutil.chown(self.directory, self._user, pwd.getpwnam(self._user).pw_gid)

    def _port(self) -> int:
        """The port this instance keeps for life."""
        file = self.directory / "port"
        if not file.exists():
            file.write_text(str(free_port()))
        return int(file.read_text())


class PostgresServer(_Owned):
    """A PostgreSQL cluster in `directory`, durable (fsync on), trusting loopback."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "postgres")
        self._data = directory / "data"

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port()}/postgres"

    def running(self) -> bool:
        return self._data.exists() and self._control("status", check=False) == 0

    def start(self) -> None:
        if self.running():
            return
        self._prepare()
        if not (self._data / "PG_VERSION").exists():
            self._run("initdb", "--pgdata", str(self._data), "--username", "postgres", "--auth", "trust",
                      "--encoding", "UTF8", "--no-locale")
        options = f"-p {self._port()} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        self._control("start", "-w", "-t", "60", "-l", str(self.log), "-o", options)

    def stop(self) -> None:
        if self.running():
            self._control("stop", "-w", "-m", "fast")

    def kill(self) -> None:
        # Immediate mode is the server's own crash: no checkpoint, recovery from the log at the next start.
        if self.running():
            self._control("stop", "-w", "-m", "immediate")

    def _control(self, verb: str, *arguments: str, check: bool = True) -> int:
        return self._run("pg_ctl", "--pgdata", str(self._data), verb, *arguments, check=check)

    def _run(self, program: str, *arguments: str, check: bool = True) -> int:
        path = postgres_program(program)
        if path is None:
            raise ServiceMissing(f"{program} is not installed")
        # Output goes to a file: a pipe would stay open for as long as the server that inherits it.
        with (self.directory / "control.log").open("w+") as output:
            done = subprocess.run([path, *arguments], stdout=output, stderr=subprocess.STDOUT, check=False,
                                  stdin=subprocess.DEVNULL, cwd=self.directory, user=self._user)
            if check and done.returncode:
                output.seek(0)
                raise ServiceMissing(f"{program} failed: {output.read().strip()}")
        return done.returncode


class RabbitServer(_Owned):
    """A RabbitMQ node in `directory`, its distribution and epmd bound to loopback as well (their default is
    every interface)."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "rabbitmq")

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self._port()}/%2F"

    def running(self) -> bool:
        return self._group() is not None

    def start(self) -> None:
        if self.running():
            return
        script = rabbitmq_program()
        if script is None:
            raise ServiceMissing("rabbitmq-server is not installed")
        self._prepare()
        # Through a shell that ends at once: the node is nobody's child, and outlives the test run.
        subprocess.run(["/bin/sh", "-c", '"$0" >>server.log 2>&1 & echo $! >pid', script], check=True,
                       env=self._environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       cwd=self.directory, user=self._user, start_new_session=True)
        until = time.monotonic() + 90
        while not rabbitmq_answers(self.url):
            if not self.running() or time.monotonic() > until:
                raise ServiceMissing(f"RabbitMQ did not start; its log: {self.log}")
            time.sleep(0.25)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _group(self) -> int | None:
        """Process group of the node; None where it is gone or the number belongs to somebody else by now."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.directory / "pid").read_text())
            if str(self.directory).encode() in Path(f"/proc/{pid}/environ").read_bytes():
                return os.getpgid(pid)
        return None

    def _end(self, how: signal.Signals) -> None:
        group = self._group()
        if group is None:
            return
        os.killpg(group, how)
        until = time.monotonic() + 60
        while self._group() is not None or _held(self._port()):
            if time.monotonic() > until:
                raise ServiceMissing(f"RabbitMQ did not stop; its log: {self.log}")
            time.sleep(0.1)

    def _environment(self) -> dict[str, str]:
        node, distribution = self._port(), self.directory / "distribution-port"
        if not distribution.exists():
            distribution.write_text(str(free_port()))
        configuration = self.directory / "rabbitmq.conf"
        configuration.write_text(f"listeners.tcp.local = 127.0.0.1:{node}\n"
                                 "disk_free_limit.absolute = 50MB\n"
                                 "log.file.level = warning\n")
        for name, content in (("rabbitmq-env.conf", ""), ("enabled_plugins", "[].\n")):
            (self.directory / name).write_text(content)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.directory),
            "LANG": "C.UTF-8",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_FLAGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_NODENAME": f"dragoman-{node}@localhost",
            "RABBITMQ_DIST_PORT": distribution.read_text(),
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_CONF_ENV_FILE": str(self.directory / "rabbitmq-env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_SCHEMA_DIR": str(self.directory / "schema"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.directory / "config"),
            "RABBITMQ_PID_FILE": str(self.directory / "rabbit.pid"),
        }


def _held(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def disposable(kind: type[PostgresServer] | type[RabbitServer]) -> Iterator[Server]:
    """A started server that a test may restart and kill; gone, with its folder, afterwards."""
    # Not pytest's tmp_path: as root that is closed to the user the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="dragoman-"))
    folder.chmod(0o755)
    server: Server = kind(folder / "server")
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


# -- programs -----------------------------------------------------------------------------------------------


def postgres_program(name: str) -> str | None:
    """Path of a PostgreSQL program; Debian keeps server programs out of PATH. The newest version wins."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4]))
    return str(versions[-1]) if versions else shutil.which(name)


def rabbitmq_program() -> str | None:
    """Path of the node's own start script: Debian's wrapper in PATH insists on its own folders."""
    inner = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    return str(inner) if inner.exists() else shutil.which("rabbitmq-server")


def _install(package: str) -> bool:
    """Install a Debian package as root without letting it start a server on every interface."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    print(f"installing {package} with apt-get …", flush=True)
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
    try:
        done = subprocess.run(install, env=environment, stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)
            done = subprocess.run(install, env=environment, stdout=subprocess.DEVNULL, check=False)
    finally:
        if ours:
            policy.unlink()
    return done.returncode == 0


def _compose(*arguments: str) -> bool:
    """True where a container engine is there and did what compose was asked to do."""
    if shutil.which("docker") is None:
        return False
    reachable = subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    return reachable and subprocess.run(["docker", "compose", "-f", str(COMPOSE), *arguments],
                                        check=False).returncode == 0


# -- language data of the OCR engine ------------------------------------------------------------------------


def tessdata() -> str:
    """The folder of Tesseract's language data; root gets it from apt.

    Raises:
        ServiceMissing: it is not there and cannot be got.
    """
    from connectors.ocr.settings import OcrOut

    if not OcrOut().data:
        for package in ("tesseract-ocr-eng", "tesseract-ocr-osd"):
            _install(package)
    if not (folder := OcrOut().data):
        raise ServiceMissing("the tests of pictures need Tesseract's language data: install tesseract-ocr-eng")
    return folder


# -- find or start ------------------------------------------------------------------------------------------


def home() -> Path:
    """Folder of the instances that stay between runs. Root's must be open to the servers' users."""
    return Path("/var/lib/dragoman-test") if os.geteuid() == 0 else ROOT / "var" / "services"


def _find_or_start(service: str, variable: str, usual: str, answers: Callable[[str], bool], server: Server,
                   package: str, installed: Callable[[], bool]) -> str:
    named = os.environ.get(variable)
    if named is not None:
        if not answers(named):
            raise ServiceMissing(f"no {service} lets us in at the address in {variable}")
        return named
    if os.environ.get("DRAGOMAN_TEST_SERVICES") != "own" and answers(usual):
        return usual
    home().mkdir(parents=True, exist_ok=True)
    with (home() / f"{package}.lock").open("w") as lock:  # parallel test workers arrive together
        fcntl.flock(lock, fcntl.LOCK_EX)
        if installed() or (_install(package) and installed()):
            server.start()
            return server.url
        if _compose("up", "--detach", "--wait", package) and answers(usual):
            return usual
    raise ServiceMissing(
        f"the tests need {service}: none answers on 127.0.0.1, {package} is not installed, and neither root "
        f"with apt-get nor a container engine is here to get it. Install {package}, or name a server in "
        f"{variable} (such as {usual})."
    )


def postgres() -> str:
    """URL of a PostgreSQL on which databases may be created and dropped.

    Raises:
        ServiceMissing: there is none and none can be started.
    """
    return _find_or_start("PostgreSQL", "DRAGOMAN_TEST_POSTGRES", POSTGRES, postgres_answers,
                          PostgresServer(home() / "postgres"), "postgresql",
                          lambda: postgres_program("initdb") is not None)


def rabbitmq() -> str:
    """URL of a RabbitMQ on which queues and exchanges may be declared and deleted.

    Raises:
        ServiceMissing: there is none and none can be started.
    """
    return _find_or_start("RabbitMQ", "DRAGOMAN_TEST_RABBITMQ", RABBITMQ, rabbitmq_answers,
                          RabbitServer(home() / "rabbitmq"), "rabbitmq-server",
                          lambda: rabbitmq_program() is not None)


def main(arguments: Sequence[str]) -> int:
    """``start`` (the default) or ``stop``."""
    if list(arguments) == ["stop"]:
        PostgresServer(home() / "postgres").stop()
        RabbitServer(home() / "rabbitmq").stop()
        return 0
    if list(arguments) not in ([], ["start"]):
        print("usage: python -m tests.services [start|stop]", file=sys.stderr)
        return 2
    try:
        print(f"PostgreSQL  {postgres()}")
        print(f"RabbitMQ    {rabbitmq()}")
    except ServiceMissing as missing:
        print(missing, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
