"""A bundle: one call's leaves, their signatures and proofs, and the keys, in one file that a third party verifies alone.

    {"format": "mercator-jupiter/bundle@v1",
     "keys": "…the manifest, a note that the root has signed…",
     "timestamp": "…base64 of the answer of a time-stamping authority, over the checkpoint, if it is under one that has it…",
     "leaves": [{"envelope": {…DSSE: payload, payloadType, signatures…}, "proof": "c2sp.org/tlog-proof@v1\\nindex 7\\n…"}, …]}

It is canonical JSON in one line, so that no bit of it can be changed without it being another file.  `verify_bundle` reads
it without any of this project, and `verify_timestamp` the timestamp.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from jupiter_addons.evidence import proof
from jupiter_addons.evidence.encoding import PAYLOAD_TYPE, base64_of
from jupiter_addons.evidence.merkle import Nodes, prove_inclusion

FORMAT = "mercator-jupiter/bundle@v1"


@dataclass(frozen=True, slots=True)
class Stored:
    """A leaf as it is stored."""

    idx: int
    leaf: bytes
    signature: bytes


def build(
    leaves: Iterable[Stored], manifest: bytes, note: bytes, size: int, node: Nodes, timestamp: bytes | None = None
) -> bytes:
    """Return the bundle of some leaves of one log, under its checkpoint `note` of `size` leaves, and the timestamp of that.

    Raises ValueError if there is a leaf that the checkpoint does not cover, or one of no canonical form.
    """
    entries = [
        {
            "envelope": _envelope(one),
            "proof": proof.render(one.idx, prove_inclusion(one.idx, size, node), note.decode()),
        }
        for one in leaves
    ]
    if not entries:
        raise ValueError("a bundle has leaves")
    whole = {"format": FORMAT, "keys": manifest.decode(), "leaves": entries}
    if timestamp is not None:
        whole["timestamp"] = base64_of(timestamp)
    return orjson.dumps(whole, option=orjson.OPT_SORT_KEYS) + b"\n"


def _envelope(one: Stored) -> dict[str, Any]:
    fields = orjson.loads(one.leaf)
    signatures: Sequence[dict[str, str]] = [{"keyid": fields["kid"], "sig": base64_of(one.signature)}]
    return {"payload": base64_of(one.leaf), "payloadType": PAYLOAD_TYPE, "signatures": signatures}
