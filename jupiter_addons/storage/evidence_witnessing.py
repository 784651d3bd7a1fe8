"""Having witnesses cosign a log, at most once a second.

What is sent is whatever the newest checkpoint is by then, so that nothing queues up behind a witness that is away.  A
witness that knows more leaves than there are, or others, has seen what must not be: that is said, and `jupiter evidence
verify --witness` finds out what is wrong.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import checkpoint, note, witness
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.cosignature import Cosigner
from jupiter_addons.evidence.merkle import nodes, prove_consistency
from jupiter_addons.storage.errands import Errand
from jupiter_addons.storage.evidence_cosigned import Cosigned

STEP_S = 1.0
"""How far apart two requests to a witness are, at least."""


class Log(Protocol):
    """A log whose checkpoints others are asked about."""

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


class Witnessing(Errand):
    """Has one log cosigned by one witness."""

    def __init__(
        self,
        log: Log,
        tree: Callable[[], AbstractContextManager[Tree]],
        cosigned: Cosigned,
        cosigner: Cosigner,
        client: Client,
        counted: Callable[[str], None] = lambda _result: None,
    ) -> None:
        super().__init__(f"witnessed by `{cosigner.name}`", STEP_S, counted)
        self._log, self._tree, self._cosigned = log, tree, cosigned
        self._cosigner, self._client = cosigner, client
        self._old: int | None = None
        """What it has cosigned last, as far as is known."""
        self._done = ""

    def ask(self) -> bool:
        """Have the newest checkpoint cosigned, unless it is already."""
        signed = self._log.checkpoint
        if not signed or signed == self._done:
            return False
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
        if status in (403, 404):
            raise StoreError(f"it answers {status}: it is to be given what `jupiter evidence witness logs` prints now")
        if status != 200:
            raise StoreError(f"it answers {status}")
        self._cosigned.keep(signed.encode() + body, self._cosigner)
        self._old, self._done = head.size, signed
        return True

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
