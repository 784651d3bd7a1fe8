"""Places a log can be kept in, seen from outside: what is in them, read with nothing of ours, and how they are damaged."""

import copy
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from support.logs import SIGNING
from support.postgres import Server, shared

from jupiter_addons.evidence.verify import Report, Row, verify
from jupiter_addons.storage import evidence_index, evidence_postgres_index, postgres
from jupiter_addons.storage.evidence_places import Place as LogPlace
from jupiter_addons.storage.evidence_places import in_server
from jupiter_addons.storage.evidence_postgres_log import Options, open_log
from jupiter_addons.storage.evidence_sqlite import EvidenceLog
from jupiter_addons.storage.evidence_tail import Identity
from jupiter_addons.storage.evidence_writer import LogWriter
from jupiter_addons.storage.signing_keys import Keys


class Place(ABC):
    """A place with at most one log in it.

    All of them have the same tables; `table` is what one is called there.
    """

    OPENED = ""
    """Source of an expression that opens the log, for programs of their own; `place` is the argument they are given."""

    @abstractmethod
    def open(self, keys: Keys = SIGNING, **options: Any) -> LogWriter:
        """Open the log as a process does that starts."""

    @abstractmethod
    def argument(self) -> str:
        """Return what a program of its own is told."""

    @abstractmethod
    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Execute a statement with `?` for values."""

    def table(self, name: str) -> str:
        """Return what a table is called here."""
        return name

    def rows(self, which: str = "1 = 1") -> Sequence[Row]:
        """Return the leaves that are stored; `which` is a condition."""
        columns = "idx, leaf, sig, kind, id, t_us, hash"
        found = self.sql(f"SELECT {columns} FROM {self.table('leaf')} WHERE {which} ORDER BY idx")
        return [
            Row(idx, bytes(leaf), bytes(sig), tuple(None if one is None else str(one).encode() for one in columns))
            for idx, leaf, sig, *columns in found
        ]

    def report(self) -> Report:
        """Verify the leaves that are stored."""
        return verify(self.rows(), SIGNING.manifest.keys("record"))

    @abstractmethod
    def log(self) -> LogPlace:
        """Return where commands read the log."""

    @abstractmethod
    def index(self) -> None:
        """Have all calls indexed."""

    @abstractmethod
    def forget_index(self) -> None:
        """Have no call indexed."""

    @abstractmethod
    def close(self) -> None:
        """Take the place away."""


class SqlitePlace(Place):
    """A file."""

    OPENED = "EvidenceLog(Path(place), Identity(SIGNING, 'test', '0'))"

    def __init__(self, directory: Path) -> None:
        self._path = directory / "state/evidence.db"

    def open(self, keys: Keys = SIGNING, **options: Any) -> LogWriter:
        """Open it."""
        return EvidenceLog(self._path, Identity(keys, "test", "0"), **options)

    def argument(self) -> str:
        """Return its path."""
        return str(self._path)

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Execute a statement by itself."""
        with closing(sqlite3.connect(self._path, isolation_level=None)) as db:
            return db.execute(statement, values).fetchall()

    def log(self) -> LogPlace:
        """Return its path."""
        return self._path

    def index(self) -> None:
        """Have all calls indexed."""
        with closing(sqlite3.connect(self._path, isolation_level=None)) as db:
            while evidence_index.advance(db):
                pass

    def forget_index(self) -> None:
        """Have no call indexed."""
        self.sql("DELETE FROM call_index")
        self.sql("UPDATE meta SET value = '0' WHERE name = 'indexed'")

    def close(self) -> None:
        """Leave the file: its directory is taken away."""


class PostgresPlace(Place):
    """A database of its own in a server that all share, and the directory of the process."""

    OPENED = "open_log(Options(place.partition(' ')[0], Path(place.partition(' ')[2])), Identity(SIGNING, 'test', '0'))"

    def __init__(self, directory: Path, server: Server | None = None) -> None:
        self._server = server or shared()
        self.name = self._server.new_database()
        self.directory = directory / "state/spool/0"
        self.url = self._server.url(self.name)

    def copied(self, directory: Path) -> "PostgresPlace":
        """Return the place of a process with another directory and the same database."""
        other = copy.copy(self)
        other.directory = directory
        return other

    def open(self, keys: Keys = SIGNING, **options: Any) -> LogWriter:
        """Open it."""
        return open_log(Options(self.url, self.directory, **options), Identity(keys, "test", "0"))

    def argument(self) -> str:
        """Return its URL and directory."""
        return f"{self.url} {self.directory}"

    def table(self, name: str) -> str:
        """Return its name in the schema."""
        return f"jupiter.{name}"

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Execute a statement by itself."""
        with psycopg.connect(self.url, autocommit=True) as db:
            cursor = db.execute(statement.replace("?", "%s").encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def report(self, log: str | None = None) -> Report:
        """Verify the leaves of a log, or of the only one there is."""
        rows = self.rows() if log is None else self.rows(f"log = '{log}'")
        return verify(rows, SIGNING.manifest.keys("record"))

    def log(self) -> LogPlace:
        """Return the only log that is there."""
        [place] = in_server(self.url)
        return place

    def index(self) -> None:
        """Have all calls indexed."""
        with closing(postgres.connect(self.url, "test")) as db:
            while evidence_postgres_index.advance(db, str(self.log()), 256):
                pass

    def forget_index(self) -> None:
        """Have no call indexed."""
        self.sql("DELETE FROM jupiter.call_index")
        self.sql("UPDATE jupiter.log SET indexed = 0")

    def close(self) -> None:
        """Drop the database."""
        self._server.execute(f"DROP DATABASE {self.name} WITH (FORCE)")
