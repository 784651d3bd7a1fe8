"""What a log needs beside its leaves, on a thread of its own: heart-beats, the anchor, the roll-up.

A heart-beat is a leaf, so that silence is proved and not assumed.  The roll-up is a leaf in which one log names the newest
checkpoints of all others, so that a log that is deleted is missed; a log that has been named once is named ever after.
Nothing here stands in the way of a call: an anchor that cannot be written is said once, and tried again.  It is said as a
warning, because mitmproxy ends a gateway that logs an error while it starts.  A start has seen to its first anchor before, and
fails on purpose if that cannot be written (`begin`).
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence import record
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.storage.evidence_anchor import Anchors
from jupiter_addons.storage.evidence_places import Place, newest_checkpoint, rolled_up
from jupiter_addons.storage.evidence_writer import LogWriter
from jupiter_addons.storage.signing_keys import Keys

logger = logging.getLogger(__name__)

STEP_S = 1.0
"""How far the anchor may be behind the log."""
PATIENCE_S = 5.0
"""How long an end waits for an anchor that is being written."""


def begin(log: LogWriter, anchors: Anchors) -> None:
    """Anchor a log that has just been opened.  Raises StoreError: what nobody remembers from its start on is not anchored."""
    try:
        anchors.keep(log.checkpoint)
    except StoreError as error:
        hint = "hint: `evidence.anchor_path` names a directory that this user can write to"
        raise StoreError(f"{error}; {hint}") from error


class Keeper:
    """Tends one log until it is stopped."""

    def __init__(
        self,
        log: LogWriter,
        keys: Keys,
        *,
        heartbeat_s: float,
        anchors: Anchors | None = None,
        own: Place | None = None,
        logs: Callable[[], Sequence[Place]] | None = None,
    ) -> None:
        """`logs` names the databases of all processes, `own` among them, if this one is to roll them up."""
        self._log = log
        self._log_keys = tuple(keys.manifest.keys("log").values())
        self._heartbeat_s = heartbeat_s
        self._anchors = anchors
        self._own, self._logs = own, logs
        self._named: dict[str, Checkpoint] = {}
        self._knows_named = False
        self._beaten_s = time.monotonic()
        self._anchored = ""
        self._failing = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="evidence-keeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, before the log is closed.  One that hangs in a directory that is gone is not waited for."""
        self._stopping.set()
        self._thread.join(PATIENCE_S)

    def finish(self) -> None:
        """Anchor where the log has ended, after it was closed."""
        if not self._thread.is_alive():
            self.anchor()

    def anchor(self) -> None:
        """Bring the anchor up to the log."""
        note = self._log.checkpoint
        if self._anchors is None or note == self._anchored:
            return
        try:
            self._anchors.keep(note)
        except StoreError as error:
            if not self._failing:
                logger.warning("the evidence log is not anchored: %s", error)
            self._failing = True
            return
        if self._failing:
            logger.warning("the evidence log is anchored again")
        self._anchored, self._failing = note, False

    def beat(self) -> None:
        """Append a heart-beat, and the roll-up with it."""
        self._log.append_nowait(record.control("heartbeat"))
        if self._logs is None:
            return
        paths = self._logs()
        if not paths:
            self._knows_named = False  # somebody else rolls up now, and names more
            return
        self._recall(paths)
        for path in paths:
            if path == self._own:
                continue
            try:
                head = newest_checkpoint(path, self._log_keys)
            except StoreError as error:
                logger.warning("a log could not be rolled up: %s", error)
                continue
            if head is not None:
                self._named[head.origin] = head
        heads = [(head.origin, head.size, head.root.hex()) for head in self._named.values()]
        for start in range(0, len(heads), record.MAX_ROLLED_UP):
            self._log.append_nowait(record.rollup(heads[start : start + record.MAX_ROLLED_UP]))

    def _recall(self, paths: Sequence[Place]) -> None:
        """Read once what roll-ups have named before: what has been named is named for ever."""
        if self._knows_named:
            return
        try:
            for head in (head for path in paths for head in rolled_up(path)):
                known = self._named.get(head.origin)
                if known is None or known.size < head.size:
                    self._named[head.origin] = head
        except (StoreError, ValueError, LookupError, TypeError) as error:
            logger.warning("an earlier roll-up cannot be read: %s", error)
            return
        self._knows_named = True

    def _run(self) -> None:
        while True:
            try:
                self.anchor()
                if time.monotonic() - self._beaten_s >= self._heartbeat_s:
                    self._beaten_s = time.monotonic()
                    self.beat()
            except Exception:
                logger.exception("the keeper of the evidence log failed")
            if self._stopping.wait(STEP_S):
                return
