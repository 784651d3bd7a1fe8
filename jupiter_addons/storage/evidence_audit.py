"""The verification of all logs of a gateway, each by its leaves, its tree, and what others remember of it.

Others are the anchors, the roll-ups in the other logs, and checkpoints that somebody hands in.  A log that nobody remembers
anything of can have been cut and nobody could tell: that is said, and is not the same as being in order.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.manifest import Manifest
from jupiter_addons.evidence.merkle import edge_of
from jupiter_addons.evidence.recovery import GivenUp
from jupiter_addons.evidence.verify import Finding, Report, verify
from jupiter_addons.evidence.verify_tree import Expected, StoredTree, compare, missing
from jupiter_addons.storage.evidence_places import LogSnapshot, Place, rolled_up, snapshot
from jupiter_addons.storage.evidence_recovery import given_up

SEGMENT = 20_000
"""How many leaves are read between two words on how far it has come."""

type Saved = dict[str, Any]
"""How far a log was found in order, to go on from there another time."""


@dataclass(slots=True)
class Audited:
    """What came of one log."""

    path: Place
    origin: str
    report: Report
    checkpoints: int
    """How many of its own were checked."""
    compared: list[str] = field(default_factory=list)
    """Who else remembers something of it."""
    resumed_at: int = 0
    given_up: list[tuple[int, GivenUp]] = field(default_factory=list)
    """Logs that leaves of this one, by number, say were given up."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """A checkpoint that is kept outside of its log, and by whom."""

    head: Checkpoint
    source: str
    witnessed: bool = False


class Audit:
    """Verifies logs one after the other."""

    def __init__(
        self,
        manifest: Manifest,
        *,
        executor: Executor | None = None,
        progress: Callable[[Place, int, int], None] = lambda _path, _done, _of: None,
    ) -> None:
        """`progress` is told of a log how many of how many leaves have been read."""
        self._manifest = manifest
        self._executor = executor
        self._progress = progress

    def run(
        self, paths: Sequence[Place], remembered: Iterable[Remembered], saved: Mapping[str, Saved] | None = None
    ) -> tuple[list[Audited], list[Finding]]:
        """Return what came of each log, and what is wrong with all of them together.  Raises StoreError.

        A log that is gone is wrong, unless a leaf of another says that it was given up.  `remembered` has been read before;
        `saved` is by origin.
        """
        known = [*remembered]
        for path in paths:
            known += (Remembered(head, f"the roll-up in {path.name}") for head in _rolled_up(path))
        of: defaultdict[str, list[Expected]] = defaultdict(list)
        for one in known:
            of[one.head.origin].append(Expected(one.head.size, one.head.root, one.source, one.witnessed))
        audited = [self._one(path, of, saved or {}) for path in paths]
        there = [log.origin for log in audited]
        there += [name for log in audited for _, gone in log.given_up for name in gone.logs]
        return audited, list(missing([(one.head, one.source) for one in known], there))

    def _one(self, path: Place, of: Mapping[str, Sequence[Expected]], saved: Mapping[str, Saved]) -> Audited:
        with snapshot(path) as log:
            report = _resumed(log, saved.get(log.origin))
            start = report.edge.size
            keys = tuple(self._manifest.keys("log").values())
            tree = StoredTree(log.tiles, log.checkpoints(start), keys, log.origin)
            rows = log.rows(start)
            more = True
            while more:
                segment = list(islice(rows, SEGMENT))
                more = len(segment) == SEGMENT
                verify(
                    segment,
                    self._manifest.keys("record"),
                    revoked=self._manifest.revoked(),
                    executor=self._executor,
                    tree=tree if log.has_tree else None,
                    so_far=report,
                    partial=more,
                )
                self._progress(path, report.edge.size, log.size)
            expected = of.get(log.origin, ())
            if log.has_tree:
                report.findings += tree.end(report.edge)
            report.findings += compare(report, log.tiles, expected)
            who = sorted({one.source for one in expected})
            return Audited(path, log.origin, report, tree.seen, who, start, list(_given_up(path)))


def to_save(log: Audited) -> Saved | None:
    """Return where to go on with a log another time; None if it is not in order."""
    report = log.report
    if report.findings:
        return None
    return {
        "size": report.edge.size,
        "root": report.edge.root().hex(),
        "previous": report.previous,
        "kinds": dict(report.kinds),
        "leaves": report.leaves,
        "first_us": report.first_us,
        "last_us": report.last_us,
        "open_calls": sorted(report.open_calls),
        "pruned": report.pruned,
        "pruned_to": report.pruned_to,
        "heartbeat_s": report.heartbeat_s,
    }


def _resumed(log: LogSnapshot, saved: Saved | None) -> Report:
    """Return the report to go on with, if the log still begins with what was found in order then; else a new one."""
    if saved is None:
        return Report()
    try:
        edge = edge_of(saved["size"], log.tiles)
        if edge.root().hex() != saved["root"]:
            raise VerificationError("the tree is another one")
        return Report(
            leaves=saved["leaves"],
            kinds=Counter(saved["kinds"]),
            first_us=saved["first_us"],
            last_us=saved["last_us"],
            open_calls=set(saved["open_calls"]),
            edge=edge,
            previous=saved["previous"],
            log=log.origin,
            decided=set(saved["open_calls"]),
            pruned=saved["pruned"],
            pruned_to=saved["pruned_to"],
            heartbeat_s=saved["heartbeat_s"],
        )
    except (VerificationError, LookupError, TypeError, AttributeError):
        return Report()  # all of it is read again, which finds whatever there is to find


def _given_up(path: Place) -> Sequence[tuple[int, GivenUp]]:
    try:
        return list(given_up(path))
    except StoreError:
        return ()  # a leaf that cannot be read allows nothing


def _rolled_up(path: Place) -> Sequence[Checkpoint]:
    try:
        return rolled_up(path)
    except StoreError:
        return ()  # the log has no roll-up that can be read; if it had one, its own verification says what became of it
