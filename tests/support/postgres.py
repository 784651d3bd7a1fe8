"""A PostgreSQL of our own: a new cluster in a temporary directory, on a socket there, run as a user that is not root."""

import contextlib
import functools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
USER = "postgres"
needs_postgres = pytest.mark.skipif(
    not FOLDERS, reason="PostgreSQL is not installed (Debian: apt-get install postgresql)"
)


class Server:
    """A running server."""

    def __init__(self, directory: Path, *, sync: bool) -> None:
        self._bin, self.directory = FOLDERS[0], directory
        self._data, self._sockets = directory / "data", directory / "s"
        self._sockets.mkdir(mode=0o777)
        self._sockets.chmod(0o777)
        self._as_user("initdb", "-D", str(self._data), "-U", USER, "-A", "trust", "--no-sync", "-k", "-E", "UTF8")
        self._options = "" if sync else "-c fsync=off"
        self.start()

    def url(self, database: str = USER, user: str = USER) -> str:
        """Return the URL of a database."""
        return f"postgresql://{user}@/{database}?host={self._sockets}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-k {self._sockets} -c listen_addresses= -c max_connections=60 {self._options}"
        self._as_user(
            "pg_ctl", "-D", str(self._data), "-w", "-t", "60", "-l", f"{self._data}.log", "-o", options, "start"
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate` is a crash."""
        self._as_user("pg_ctl", "-D", str(self._data), "-w", "-t", "60", "-m", mode, "stop")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Have it stop in its tracks: connections stay open and nothing answers."""
        pids = self._pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in reversed(pids):
                try:
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    continue

    def execute(self, statement: str, database: str = USER) -> list[tuple[object, ...]]:
        """Execute one statement, from outside."""
        with psycopg.connect(self.url(database), autocommit=True) as db:
            cursor = db.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def execute_beside(self, statement: str, database: str = USER) -> None:
        """Execute statements on a thread, and wait for nothing."""
        threading.Thread(target=self.execute, args=(statement, database), daemon=True).start()

    def new_database(self) -> str:
        """Make an empty database; return its name."""
        name = f"t{time.monotonic_ns()}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def _pids(self) -> list[int]:
        postmaster = int((self._data / "postmaster.pid").read_text().split()[0])
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(postmaster)], capture_output=True, text=True)
        return [postmaster, *map(int, children.stdout.split())]

    def _as_user(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", USER, "--", *command]
        done = subprocess.run(
            command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
        )
        assert done.returncode == 0, f"{program}: {done.stdout}"


@contextmanager
def running(*, sync: bool = False) -> Iterator[Server]:
    """Run a server of one's own, to be stopped and killed at will.

    It survives that also without `sync`, which is for what a disk is asked to do.
    """
    directory = Path(tempfile.mkdtemp(prefix="jupiter-pg-", dir="/tmp"))
    directory.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(directory, pwd.getpwnam(USER).pw_uid, -1)
    server = None
    try:
        server = Server(directory, sync=sync)
        yield server
    finally:
        if server is not None:
            with contextlib.suppress(AssertionError):  # the test may have stopped it
                server.stop("immediate")
        shutil.rmtree(directory, ignore_errors=True)


@functools.cache
def shared() -> Server:
    """Return a server for all tests of this process that need no more than a database of their own."""
    import atexit

    context = running()
    server = context.__enter__()
    atexit.register(context.__exit__, None, None, None)
    return server
