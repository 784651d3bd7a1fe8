"""A real Redis server for a test: Debian's `redis-server`, started on loopback, with nothing of anybody else's."""

import atexit
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import hiredis
import pytest
from support.gateway import free_port

PROGRAM = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(PROGRAM is None, reason="there is no redis-server on PATH (Debian: redis-server)")


@dataclass
class RedisServer:
    """A server that can be killed, stopped, emptied and started again."""

    directory: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> "RedisServer":
        assert PROGRAM is not None
        self.directory.mkdir(exist_ok=True, parents=True)
        fixed = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory), "--save", "")
        with (self.directory / "redis.log").open("ab") as log:
            self.process = subprocess.Popen([PROGRAM, *fixed, *self.options], stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while True:
            try:
                self.ask("PING")
                return self
            except (OSError, hiredis.ReplyError):
                assert self.process.poll() is None and time.monotonic() < deadline, "redis-server does not start"
                time.sleep(0.02)

    def ask(self, *words: str | int) -> Any:
        """Return the answer to one command, over a connection of its own."""
        reader = hiredis.Reader()
        with socket.create_connection(("127.0.0.1", self.port), 10) as peer:
            password = (
                self.options[self.options.index("--requirepass") + 1] if "--requirepass" in self.options else None
            )
            for command in [("AUTH", password)] * (password is not None) + [words]:
                peer.sendall(hiredis.pack_command(command))
                while (answer := reader.gets()) is False:
                    data = peer.recv(65536)
                    if not data:
                        raise OSError("closed")
                    reader.feed(data)
        if isinstance(answer, hiredis.ReplyError):
            raise answer
        return answer

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(60)
            self.process = None


@cache
def shared_server() -> RedisServer:
    """Return a server for all tests of a process that do it no harm and keep to names of their own."""
    directory = tempfile.TemporaryDirectory(prefix="jupiter-redis-")
    server = RedisServer(Path(directory.name), ("--appendonly", "no")).start()
    atexit.register(directory.cleanup)
    atexit.register(server.kill)
    return server
