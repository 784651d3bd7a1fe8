"""Reading back what was said: from the leaves of a call, what is stored beside them, and the keys that are still there.

Nothing is shown that is not what the leaf commits to: the hash of what is stored, the commitment, and the digest of the body
must all agree.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.payload import attempt_role, open_body
from jupiter_addons.evidence.verify import Row
from jupiter_addons.evidence.words import contains
from jupiter_addons.storage.evidence_places import LogSnapshot, Place, snapshot
from jupiter_addons.storage.evidence_query import leaves_of
from jupiter_addons.storage.subject_keys import SubjectKeys

State = Literal["kept", "same", "not kept", "too_large", "redacted", "credential", "erased", "pruned"]
"""`same`: as a body before it; `erased`: its key was destroyed; `pruned`: its time was over, and what was stored is gone."""


@dataclass(frozen=True, slots=True)
class Body:
    """One body of a call."""

    role: str
    sha256: str
    length: int
    state: State
    body: bytes | None = field(default=None, repr=False)
    same_as: str | None = None
    key_id: str | None = None
    record_key: bytes | None = field(default=None, repr=False)
    """What opens this body and nothing else, for disclosure."""


def bodies_of(paths: Sequence[Place], call_id: str, keys: SubjectKeys | None) -> list[Body]:
    """Return every body that the leaves of a call name, decrypted as far as it can be.

    Raises StoreError, and VerificationError if what is stored is not what was committed to.
    """
    for path in paths:
        if leaves := leaves_of([path], call_id):
            with snapshot(path) as log:
                return list(_bodies(log, call_id, leaves, keys))
    return []


def says(paths: Sequence[Place], call_id: str, keys: SubjectKeys | None, words: str) -> bool | None:
    """Whether what was said in a call contains words; None if nothing of it can be read.  Raises as `bodies_of` does."""
    readable = [body.body for body in bodies_of(paths, call_id, keys) if body.body is not None]
    return any(contains(body, words) for body in readable) if readable else None


def _bodies(log: LogSnapshot, call_id: str, leaves: Sequence[Row], keys: SubjectKeys | None) -> Iterator[Body]:
    seen: dict[str, str] = {}
    for row in leaves:
        leaf = orjson.loads(row.leaf)
        for entry in leaf.get("payload", ()):
            number = leaf.get("attempt", {}).get("number")
            role = entry["role"] if number is None else attempt_role(number)
            yield _body(log, leaf["log"], call_id, role, entry, seen.get(entry["sha256"]), keys)
            seen.setdefault(entry["sha256"], role)


def _body(
    log: LogSnapshot,
    origin: str,
    call_id: str,
    role: str,
    entry: Mapping[str, Any],
    same_as: str | None,
    keys: SubjectKeys | None,
) -> Body:
    sha256, length, key_id = entry["sha256"], entry["len"], entry.get("key")
    if key_id is None:
        if "withheld" in entry:
            return Body(role, sha256, length, entry["withheld"])
        return Body(role, sha256, length, "not kept" if same_as is None else "same", same_as=same_as)
    stored = log.ciphertext(call_id, role)
    if stored is None:
        return Body(role, sha256, length, "pruned", key_id=key_id)
    if hashlib.sha256(stored).hexdigest() != entry["ct_sha256"]:
        raise VerificationError(f"what is stored as the {role} of call {call_id} is not what its leaf commits to")
    key = None if keys is None else keys.by_id(key_id)
    if key is None:
        return Body(role, sha256, length, "erased", key_id=key_id)
    body, record_key = open_body(stored, entry["commit"], key, origin=origin, call_id=call_id, role=role)
    if hashlib.sha256(body).hexdigest() != sha256:
        raise VerificationError(f"the {role} of call {call_id} is not the one whose digest its leaf has")
    return Body(role, sha256, length, "kept", body, key_id=key_id, record_key=record_key)
