"""Reading a log without trusting it.

Every check has a name, and a finding says which one failed and where.  Verification is over the stored bytes: a leaf is
decoded to be checked, never encoded again to be believed.

What a chain of signed leaves cannot show by itself is a missing tail; that takes a checkpoint kept elsewhere.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.encoding import ZERO_HASH, encode, leaf_hash, pae
from jupiter_addons.evidence.record import VERSION
from jupiter_addons.evidence.signing import PublicKey


@dataclass(frozen=True, slots=True)
class Row:
    """A stored leaf: its position as the store has it, its bytes, its signature."""

    idx: int
    leaf: bytes
    signature: bytes
    columns: tuple[bytes | None, ...] | None = None
    """What the store keeps beside the leaf to find it by, as printed: kind, id, t_us, hash.  None: it keeps nothing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was signed."""

    idx: int
    check: str
    message: str

    def __str__(self) -> str:
        return f"leaf {self.idx}: {self.check}: {self.message}"


@dataclass(slots=True)
class Report:
    """What a verification saw."""

    leaves: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    first_us: int | None = None
    last_us: int | None = None
    open_calls: set[str] = field(default_factory=set)
    """Decisions that let a call through and have no outcome yet: under way, or cut off by a crash."""
    findings: list[Finding] = field(default_factory=list)


def verify(rows: Iterable[Row], keys: Mapping[str, PublicKey]) -> Report:
    """Check rows in the order stored.  `keys` maps the `kid` of leaves to trusted public keys."""
    return _Verification(keys).run(rows)


class _Verification:
    def __init__(self, keys: Mapping[str, PublicKey]) -> None:
        self._keys = keys
        self._report = Report()
        self._previous = ZERO_HASH
        self._log: str | None = None
        self._decided: set[str] = set()

    def run(self, rows: Iterable[Row]) -> Report:
        expected = 0
        for row in rows:
            self._report.leaves += 1
            if row.idx != expected:
                self._find(row, "sequence", f"leaf {expected} is missing or out of place")
            expected = row.idx + 1  # one gap is one finding, not one for every leaf after it
            fields = self._decode(row)
            if fields is not None:
                signed = self._signature(row, fields)
                self._chain(row, fields)
                self._time(row, fields)
                self._calls(row, fields)
                if signed:  # else the finding is the leaf itself
                    self._columns(row, fields)
            self._previous = leaf_hash(row.leaf)
        return self._report

    def _find(self, row: Row, check: str, message: str) -> None:
        self._report.findings.append(Finding(row.idx, check, message))

    def _decode(self, row: Row) -> dict[str, Any] | None:
        try:
            fields = orjson.loads(row.leaf)
            if isinstance(fields, dict) and encode(fields) == row.leaf and fields.get("v") == VERSION:
                return fields
        except ValueError:
            pass  # the finding below says all there is to say
        self._find(row, "encoding", f"the leaf is not canonical JSON of version {VERSION}")
        return None

    def _signature(self, row: Row, fields: dict[str, Any]) -> bool:
        key = self._keys.get(str(fields.get("kid")))
        if key is None:
            self._find(row, "key", f"the leaf names key `{fields.get('kid')}`, which is not trusted")
            return False
        try:
            key.verify(pae(row.leaf), row.signature)
        except VerificationError as error:
            self._find(row, "signature", str(error))
            return False
        return True

    def _chain(self, row: Row, fields: dict[str, Any]) -> None:
        if fields.get("idx") != row.idx:
            self._find(row, "index", f"the leaf says it is number {fields.get('idx')}")
        if fields.get("prev") != self._previous:
            self._find(row, "chain", "the leaf does not follow the one before it")
        if self._log is None:
            self._log = str(fields.get("log"))
        elif fields.get("log") != self._log:
            self._find(row, "log", f"the leaf is of another log, `{fields.get('log')}`")

    def _time(self, row: Row, fields: dict[str, Any]) -> None:
        now = fields.get("t_us")
        if not isinstance(now, int):
            self._find(row, "time", "the leaf has no time")
            return
        if self._report.last_us is not None and now < self._report.last_us:
            self._find(row, "time", "the leaf is older than the one before it")
        self._report.first_us = now if self._report.first_us is None else self._report.first_us
        self._report.last_us = now

    def _columns(self, row: Row, fields: dict[str, Any]) -> None:
        if row.columns is None:
            return
        printed = [fields.get("kind"), fields.get("id"), fields.get("t_us"), leaf_hash(row.leaf)]
        if row.columns != tuple(None if value is None else str(value).encode() for value in printed):
            self._find(row, "columns", "the store files the leaf under what it does not say")

    def _calls(self, row: Row, fields: dict[str, Any]) -> None:
        kind, call_id = str(fields.get("kind")), str(fields.get("id"))
        self._report.kinds[kind] += 1
        if kind == "decision":
            if call_id in self._decided:
                self._find(row, "call", f"call {call_id} has two decisions")
            self._decided.add(call_id)
            if "outcome" not in fields:
                self._report.open_calls.add(call_id)
        elif kind == "outcome":
            if call_id not in self._report.open_calls:
                self._find(row, "call", f"the outcome of call {call_id} has no open decision before it")
            self._report.open_calls.discard(call_id)
