"""Having witnesses cosign a log, each on a thread of its own: at most once a second, and never in the way of a call.

What a thread sends is whatever the newest checkpoint is by then, so that nothing queues up behind a witness that is away; it
is asked again later and later, up to a minute.  A witness that knows more leaves than there are, or others, has seen what
must not be: that is said, and `jupiter evidence verify --witness` finds out what is wrong.

All of it is said as a warning: mitmproxy ends a gateway that logs an error while it starts, and whether one starts is not for
a witness to say.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import checkpoint, note, witness
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.cosignature import Cosigner
from jupiter_addons.evidence.merkle import nodes, prove_consistency
from jupiter_addons.storage.evidence_cosigned import Cosigned

logger = logging.getLogger(__name__)

STEP_S = 1.0
"""How far apart two requests to a witness are, at least."""
LONGEST_S = 60.0
"""How long a witness that fails is left alone, at most."""
LAST_WORDS_S = 3.0
"""How long the last checkpoint may take to be cosigned when the gateway ends."""


class Log(Protocol):
    """The log that is witnessed."""

    @property
    def origin(self) -> str:
        """Its name."""

    @property
    def checkpoint(self) -> str:
        """Its newest checkpoint, from any thread."""


class Tree(Protocol):
    """What a store has of the tree of that log, as of one moment."""

    def tiles(self, level: int, n: int) -> Sequence[bytes]:
        """Return the hashes of a tile."""


class Client(Protocol):
    """A witness that can be asked."""

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """Return status and body.  Raises StoreError."""


class Witnessing:
    """Has one log cosigned by some witnesses until it is stopped."""

    def __init__(
        self,
        log: Log,
        tree: Callable[[], AbstractContextManager[Tree]],
        cosigned: Cosigned,
        witnesses: Sequence[tuple[Cosigner, Client]],
    ) -> None:
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(
                target=Errand(log, tree, cosigned, cosigner, client).run,
                args=(self._stopping,),
                name=f"evidence-witness-{number}",
                daemon=True,
            )
            for number, (cosigner, client) in enumerate(witnesses)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Have the last checkpoint cosigned, by whoever does so in time, and end."""
        self._stopping.set()
        until_s = time.monotonic() + LAST_WORDS_S
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))


class Errand:
    """What one witness is asked."""

    def __init__(
        self,
        log: Log,
        tree: Callable[[], AbstractContextManager[Tree]],
        cosigned: Cosigned,
        cosigner: Cosigner,
        client: Client,
    ) -> None:
        self._log, self._tree, self._cosigned = log, tree, cosigned
        self._cosigner, self._client = cosigner, client
        self._old: int | None = None
        """What it has cosigned last, as far as is known."""
        self._done = ""
        self._failures = 0

    def run(self, stopping: threading.Event) -> None:
        """Ask again and again, and once more at the end of a log if the witness answers."""
        while not stopping.wait(self.step()):
            pass
        if not self._failures:
            self.step()

    def step(self) -> float:
        """Have the newest checkpoint cosigned unless it is already; return how long to wait before the next."""
        try:
            self._cosign()
        except (StoreError, VerificationError, ValueError) as error:
            self._failed(str(error))
        except Exception:
            logger.warning("having the evidence log witnessed failed", exc_info=True)
            self._failures += 1
        else:
            if self._failures:
                logger.warning("the evidence log is witnessed by `%s` again", self._cosigner.name)
            self._failures = 0
        return min(STEP_S * (1 << min(self._failures, 16)), LONGEST_S)

    def _failed(self, why: str) -> None:
        if not self._failures:
            logger.warning("the evidence log is not witnessed by `%s`: %s", self._cosigner.name, why)
        self._failures += 1

    def _cosign(self) -> None:
        signed = self._log.checkpoint
        if not signed or signed == self._done:
            return
        head = checkpoint.parse(note.parse(signed.encode()).text)
        status, body = self._send(signed, head, self._known(head))
        if status == 409:
            seen = witness.size_in(body)
            if seen > head.size:
                raise VerificationError(
                    f"rollback: it says it has seen {seen} leaves, and {head.size} are there: "
                    "the log was cut, or an old copy brought back"
                )
            status, body = self._send(signed, head, seen)
        if status == 422:
            raise VerificationError("split view: it has seen another log of this name")
        if status != 200:
            raise StoreError(f"it answers {status}")
        self._cosigned.keep(signed.encode() + body, self._cosigner)
        self._old, self._done = head.size, signed

    def _known(self, head: Checkpoint) -> int:
        if self._old is None:
            kept = self._cosigned.read(head.origin, self._cosigner)
            self._old = 0 if kept is None else kept.head.size
        return min(self._old, head.size)

    def _send(self, signed: str, head: Checkpoint, old: int) -> tuple[int, bytes]:
        proof: Sequence[bytes] = ()
        if old:
            with self._tree() as tree:
                proof = prove_consistency(old, head.size, nodes(tree.tiles))
        return self._client.add_checkpoint(witness.request(old, proof, signed))
