"""Reading a log without trusting it.

Every check has a name, and a finding says which one failed and where.  Verification is over the stored bytes: a leaf is
decoded to be checked, never encoded again to be believed.

What signed leaves cannot show by themselves is that the last of them are missing, or that all are another's.  That takes a
checkpoint that somebody else has kept; `Expected` is one, and a report says against what it has compared.

Signatures cost more than all other checks together and depend on nothing: they are checked in chunks, which an executor can
spread over processes.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from itertools import batched
from typing import Any, Protocol

import orjson

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.encoding import ZERO_HASH, encode, pae
from jupiter_addons.evidence.merkle import Edge, Tile, hash_leaf
from jupiter_addons.evidence.record import VERSION
from jupiter_addons.evidence.signing import PublicKey

CHUNK = 512
PENDING = 16
"""So many chunks are under way at once."""
SILENCE = 3
"""After so many heart-beats without a leaf there was nobody to write one."""


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
    """One thing that is not as it was signed.  `idx` is -1 if it is about the log as a whole."""

    idx: int
    check: str
    message: str

    def __str__(self) -> str:
        where = f"leaf {self.idx}" if self.idx >= 0 else "log"
        return f"{where}: {self.check}: {self.message}"


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
    edge: Edge = field(default_factory=Edge)
    """The tree over the leaves that were read."""
    previous: str = ZERO_HASH
    """The hash of the last leaf that was read."""
    log: str | None = None
    decided: set[str] = field(default_factory=set)
    """Calls that have a decision."""
    pruned: int = 0
    """So many leaves at the beginning are gone."""
    pruned_to: int | None = None
    """How many a leaf says are gone."""
    silences: list[tuple[int, int]] = field(default_factory=list)
    """After which leaf nothing was written, not even a heart-beat, and for how many seconds."""
    heartbeat_s: int | None = None


class Tree(Protocol):
    """What a store has of the tree over the leaves."""

    def begin(self, first: int) -> tuple[Edge, str]:
        """Return the edge and the last hash of a log whose first leaves are gone.  Raises VerificationError."""

    def grown(self, edge: Edge, filled: Sequence[Tile]) -> Iterable[Finding]:
        """Return what is wrong at this size; `filled` is what the last leaf has filled."""


def verify(
    rows: Iterable[Row],
    keys: Mapping[str, PublicKey],
    *,
    revoked: Mapping[str, int] | None = None,
    executor: Executor | None = None,
    tree: Tree | None = None,
    so_far: Report | None = None,
    partial: bool = False,
) -> Report:
    """Check rows in the order stored.  `keys` maps the `kid` of leaves to trusted public keys.

    `revoked` says since when (UTC us) some are not; `tree` is held against the leaves as they come; `so_far` is what an
    earlier verification came to, which is gone on with; `partial` says that more rows are to follow.
    """
    report = _Verification(keys, revoked or {}, executor, tree, so_far or Report()).run(rows)
    if not partial and report.pruned > (report.pruned_to or 0):  # a prune that was cut short has left more than it says
        said = "no leaf says so" if report.pruned_to is None else f"a leaf says that {report.pruned_to} are"
        message = f"{report.pruned} leaves at the beginning are gone, and {said}"
        report.findings.insert(0, Finding(-1, "prune", message))
    return report


class _Verification:
    def __init__(
        self,
        keys: Mapping[str, PublicKey],
        revoked: Mapping[str, int],
        executor: Executor | None,
        tree: Tree | None,
        report: Report,
    ) -> None:
        self._keys = keys
        self._revoked = revoked
        self._executor = executor
        self._tree = tree
        self._report = report
        self._expected = report.edge.size
        self._unsigned: set[int] = set()
        self._pending: deque[Future[list[tuple[int, str]]]] = deque()

    def run(self, rows: Iterable[Row]) -> Report:
        for chunk in batched(rows, CHUNK):
            self._signatures([signed for row in chunk if (signed := self._leaf(row)) is not None])
        while self._pending:
            self._collect(self._pending.popleft().result())
        # What a leaf is filed under is not worth a finding if the leaf itself is not what was signed.
        kept = [f for f in self._report.findings if f.check != "columns" or f.idx not in self._unsigned]
        self._report.findings = sorted(kept, key=lambda finding: finding.idx)
        return self._report

    def _leaf(self, row: Row) -> tuple[int, PublicKey, bytes, bytes] | None:
        """Check all of a leaf but its signature, and return what that takes."""
        report = self._report
        if report.leaves == 0 and row.idx > 0:
            self._begin_pruned(row)
        report.leaves += 1
        if row.idx != self._expected:
            self._find(row.idx, "sequence", f"leaf {self._expected} is missing or out of place")
        self._expected = row.idx + 1  # one gap is one finding, not one for every leaf after it
        fields, signed = self._decode(row), None
        digest = hash_leaf(row.leaf)
        printed = digest.hex()
        if fields is not None:
            signed = self._key(row, fields)
            self._chain(row, fields)
            self._time(row, fields)
            self._calls(row, fields)
            self._columns(row, fields, printed)
            self._about_the_log(row, fields)
        report.previous = printed
        tiles = report.edge.append(digest)
        if self._tree is not None:
            report.findings += self._tree.grown(report.edge, tiles)
        return signed

    def _begin_pruned(self, row: Row) -> None:
        """The first leaf that is there is not the first there was; whether a leaf says so is seen at the end."""
        report = self._report
        report.pruned = self._expected = row.idx
        if self._tree is None:
            return
        try:
            report.edge, report.previous = self._tree.begin(row.idx)
        except VerificationError as error:
            self._find(-1, "prune", str(error))

    def _find(self, idx: int, check: str, message: str) -> None:
        self._report.findings.append(Finding(idx, check, message))

    def _decode(self, row: Row) -> dict[str, Any] | None:
        fields = _loaded(row.leaf)
        if fields is None:
            self._find(row.idx, "encoding", f"the leaf is not canonical JSON of version {VERSION}")
            self._unsigned.add(row.idx)
        return fields

    def _key(self, row: Row, fields: dict[str, Any]) -> tuple[int, PublicKey, bytes, bytes] | None:
        kid = str(fields.get("kid"))
        key, since_us = self._keys.get(kid), self._revoked.get(kid)
        if key is None:
            self._find(row.idx, "key", f"the leaf names key `{kid}`, which is not trusted")
            self._unsigned.add(row.idx)
            return None
        t_us = fields.get("t_us")
        if since_us is not None and isinstance(t_us, int) and t_us >= since_us:
            self._find(row.idx, "revoked", f"the leaf was signed by key `{kid}` after that was revoked")
        return row.idx, key, row.leaf, row.signature

    def _signatures(self, chunk: list[tuple[int, PublicKey, bytes, bytes]]) -> None:
        if self._executor is None:
            self._collect(bad_signatures(chunk))
            return
        self._pending.append(self._executor.submit(bad_signatures, chunk))
        while len(self._pending) > PENDING:
            self._collect(self._pending.popleft().result())

    def _collect(self, bad: Iterable[tuple[int, str]]) -> None:
        for idx, message in bad:
            self._find(idx, "signature", message)
            self._unsigned.add(idx)

    def _chain(self, row: Row, fields: dict[str, Any]) -> None:
        report = self._report
        if fields.get("idx") != row.idx:
            self._find(row.idx, "index", f"the leaf says it is number {fields.get('idx')}")
        if fields.get("prev") != report.previous:
            self._find(row.idx, "chain", "the leaf does not follow the one before it")
        if report.log is None:
            report.log = str(fields.get("log"))
        elif fields.get("log") != report.log:
            self._find(row.idx, "log", f"the leaf is of another log, `{fields.get('log')}`")

    def _time(self, row: Row, fields: dict[str, Any]) -> None:
        report, now = self._report, fields.get("t_us")
        if not isinstance(now, int):
            self._find(row.idx, "time", "the leaf has no time")
            return
        if report.last_us is not None:
            if now < report.last_us:
                self._find(row.idx, "time", "the leaf is older than the one before it")
            silent_s = (now - report.last_us) // 1_000_000
            if report.heartbeat_s is not None and silent_s > SILENCE * report.heartbeat_s:
                report.silences.append((row.idx - 1, silent_s))
        report.first_us = now if report.first_us is None else report.first_us
        report.last_us = now

    def _columns(self, row: Row, fields: dict[str, Any], digest: str) -> None:
        if row.columns is None:
            return
        printed = [fields.get("kind"), fields.get("id"), fields.get("t_us"), digest]
        if row.columns != tuple(None if value is None else str(value).encode() for value in printed):
            self._find(row.idx, "columns", "the store files the leaf under what it does not say")

    def _calls(self, row: Row, fields: dict[str, Any]) -> None:
        kind, call_id = str(fields.get("kind")), str(fields.get("id"))
        report = self._report
        report.kinds[kind] += 1
        if kind == "decision":
            if call_id in report.decided:
                self._find(row.idx, "call", f"call {call_id} has two decisions")
            report.decided.add(call_id)
            if "outcome" not in fields:
                report.open_calls.add(call_id)
        elif kind == "outcome":
            if call_id not in report.open_calls and not report.pruned:
                self._find(row.idx, "call", f"the outcome of call {call_id} has no open decision before it")
            report.open_calls.discard(call_id)

    def _about_the_log(self, row: Row, fields: dict[str, Any]) -> None:
        detail = fields.get("detail")
        if not isinstance(detail, dict):
            return
        kind = fields.get("kind")
        if kind == "log.open":
            promised = detail.get("heartbeat_s")
            self._report.heartbeat_s = promised if isinstance(promised, int) else None
        elif kind == "log.close":
            self._report.heartbeat_s = None
        elif kind == "prune" and isinstance(detail.get("upto"), int):
            self._report.pruned_to = detail["upto"]


def bad_signatures(chunk: Iterable[tuple[int, PublicKey, bytes, bytes]]) -> list[tuple[int, str]]:
    """Return which leaves of a chunk (number, key, leaf, signature) are not signed by their key, and why."""
    found = []
    for idx, key, leaf, signature in chunk:
        try:
            key.verify(pae(leaf), signature)
        except VerificationError as error:
            found.append((idx, str(error)))
    return found


def _loaded(leaf: bytes) -> dict[str, Any] | None:
    try:
        fields = orjson.loads(leaf)
        if isinstance(fields, dict) and encode(fields) == leaf and fields.get("v") == VERSION:
            return fields
    except ValueError:
        pass  # there is no more to it than None says
    return None
