"""A thousand calls at the same moment with money for a hundred, and the proof of what became of the money.

What a call comes to follows from its text, so that the same arrivals can be dealt with again, one after the other and with
every cost known before: that is the ideal a gateway is measured against.  What was done to the money at which instant is
written down by the gateways' processes themselves (ORDEAL_STEPS in `inside/sitecustomize.py`).
"""

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.gateway import Gateway, Setup
from support.history import History
from support.wire import chat, post

from jupiter_addons.identity.keys import mint
from jupiter_addons.storage.evidence_reader import rows
from jupiter_addons.storage.keys_sqlite import KeyStore
from ordeal.load import Load
from ordeal.provider import Call, Out

CALLS, PAID = 1000, 100
MOST_TOKENS = 400
"""The longest answer."""
ANSWERED_S = 90.0
"""By then a busy machine has answered a thousand calls."""
INPUT_TOKENS = 132
"""What is held of a request."""
PATIENCE_S = "10"
"""How long a Redis may be silent."""
TOKEN_NUSD = 1000
INSIDE = Path(__file__).parent / "inside"


def text_of(number: int) -> str:
    """Return what a call says; all are of one length, so that they are held at the same."""
    return f"call {number:05}"


@dataclass
class Costs:
    """A provider that takes its time, and tokens that follow from the text: from half of what a call may take to all of it."""

    input_tokens: int
    """What is held of a request, and charged."""
    least: float = 0.5
    lasts_s: float = 0.05
    made: dict[str, int] = field(default_factory=dict)
    """Text -> the nano-dollars that its call has come to."""

    @property
    def estimate(self) -> int:
        """What a call is held at."""
        return (self.input_tokens + MOST_TOKENS) * TOKEN_NUSD

    def tokens(self, text: str) -> int:
        """Return how long the answer is."""
        share = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32
        return int(MOST_TOKENS * (self.least + (1 - self.least) * share))

    def nusd(self, text: str) -> int:
        """Return what a call comes to."""
        return (self.input_tokens + self.tokens(text)) * TOKEN_NUSD

    async def __call__(self, call: Call, out: Out) -> None:
        text = call.json()["messages"][0]["content"]
        tokens = self.tokens(text)
        self.made[text] = self.nusd(text)
        await out.sleep(self.lasts_s * tokens / MOST_TOKENS)
        usage = {"prompt_tokens": self.input_tokens, "completion_tokens": tokens}
        message = {"role": "assistant", "content": "word " * tokens}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        said = {**usage, "total_tokens": sum(usage.values())}
        await out.answer(200, {"id": "c", "object": "chat.completion", "choices": [choice], "usage": said})


def key_of(gateway: Gateway, user: str) -> str:
    """Create a key, without the second that a process for it would take."""
    store = KeyStore(gateway.directory / "state/keys.db")
    text, record = mint(user, entropy=os.urandom, now_s=time.time(), name="thousand")
    store.add(record)
    store.close()
    return text


def setup(steps: Path, lease: str | None = None) -> Setup:
    """Return how a gateway is started that writes down what it does."""
    environment = {"PYTHONPATH": str(INSIDE), "ORDEAL_STEPS": str(steps), "ORDEAL_PATIENCE": PATIENCE_S}
    return Setup(environment=environment if lease is None else {**environment, "ORDEAL_LEASE": lease})


class Thousand:
    """A thousand calls of one user, on as many connections, all asked at once; a connection asks once."""

    def __init__(self, keys: Sequence[tuple[Gateway, str]], first: int = 0) -> None:
        """`keys`: the gateways, and the user's key for each; calls are numbered from `first`."""
        time.sleep(1.2)  # until running gateways know the keys
        each = CALLS // len(keys)
        self._loads = []
        self.since_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        for at, (gateway, key) in enumerate(keys):
            texts = [text_of(first + at * each + number) for number in range(each)]
            raws = [_request(text, key) for text in texts]
            self._loads.append(Load(gateway.port, raws, requests=each, connections=each, grace_s=ANSWERED_S))

    def statuses(self) -> dict[int, int]:
        """Wait for the end, and return how many answers had which status; 0 for a connection that was cut."""
        found: Counter[int] = Counter()
        for load in self._loads:
            found.update(load.result().statuses())
        return dict(found)


def _request(text: str, key: str) -> bytes:
    body = json.dumps(chat(text, max_tokens=MOST_TOKENS)).encode()
    _SAID[hashlib.sha256(body).hexdigest()] = text
    return post("/v1/chat/completions", body, key)


@dataclass(frozen=True)
class Books:
    """What was done to one user's money."""

    history: History
    ideal: int
    """How many calls would be admitted if they came one after the other, and each cost were known before."""
    admitted: int
    failed: Mapping[str, int]
    """Why calls were refused, or broke off, that had held something: code -> how many."""

    @classmethod
    def read(cls, steps: Path, since_ns: int, gateways: Sequence[Gateway], costs: Costs, limit: int) -> "Books":
        """Read what became of all calls since an instant, and do it again one after the other.

        A call that was held and not settled has come to what it was held at, and one that nobody knows would have: better
        cannot be known.
        """
        every = History.read(sorted(steps.iterdir()))
        asked = {one.call_id: one.amount for one in every.steps if one.step == "asks" and one.at_ns >= since_ns}
        history = History([step for step in every.steps if step.call_id in asked])
        leaves = list(_leaves(gateways, asked))
        said = _texts(leaves)
        true = {call_id: costs.nusd(said[call_id]) if call_id in said else amount for call_id, amount in asked.items()}
        true |= {one.call_id: one.amount for one in history.steps if one.step in ("held", "settles")}
        held = history.calls("held")
        failed = Counter(leaf["outcome"]["code"] for leaf in leaves if leaf["id"] in held and _has_failed(leaf))
        return cls(history, in_turn([true[call_id] for call_id in asked], limit), len(held), failed)


def in_turn(costs: Sequence[int], limit: int) -> int:
    """Return how many calls are admitted one after the other, when it is known what each comes to."""
    admitted = taken = 0
    for cost in costs:
        if taken + cost <= limit:
            admitted, taken = admitted + 1, taken + cost
    return admitted


def _leaves(gateways: Sequence[Gateway], call_ids: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield what the evidence of any process has of calls."""
    for gateway in gateways:
        for path in sorted((gateway.directory / "state").glob("evidence*.db")):
            for leaf in (json.loads(row.leaf) for row in rows(path)):
                if leaf["kind"] in ("decision", "outcome") and leaf["id"] in call_ids:
                    yield leaf


def _texts(leaves: Iterable[dict[str, Any]]) -> Mapping[str, str]:
    """Return what calls said, of those that the evidence has."""
    found: dict[str, str] = {}
    for leaf in leaves:
        if leaf["kind"] == "decision":
            digests = (payload["sha256"] for payload in leaf["payload"])
            found.update((leaf["id"], _SAID[digest]) for digest in digests if digest in _SAID)
    return found


def _has_failed(leaf: Mapping[str, Any]) -> bool:
    return leaf.get("outcome", {}).get("code") is not None


_SAID: dict[str, str] = {}
"""Digest of a body that was sent -> its text."""
