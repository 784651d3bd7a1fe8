"""Reading back what was said: from the leaves of a call, what is stored beside them, and the keys that are still there.

Nothing is shown that is not what the leaf commits to: the hash of what is stored, the commitment, and the digest of the body
must all agree.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import orjson

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.payload import attempt_role, open_body, salt_of, salted
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
    alg: str
    """What its digest is: sha256, or hmac-sha256 with a salt."""
    digest: str
    length: int
    state: State
    body: bytes | None = field(default=None, repr=False)
    same_as: str | None = None
    key_id: str | None = None
    record_key: bytes | None = field(default=None, repr=False)
    """What opens this body and nothing else, for disclosure."""
    salt: bytes | None = field(default=None, repr=False)
    """What its digest can be compared with, if it has one that is still known."""


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
            body = _body(log, leaf["log"], call_id, role, entry, seen, keys)
            yield body
            seen.setdefault(body.digest, role)


def _body(
    log: LogSnapshot,
    origin: str,
    call_id: str,
    role: str,
    entry: Mapping[str, Any],
    seen: Mapping[str, str],
    keys: SubjectKeys | None,
) -> Body:
    key_id, under = entry.get("key"), entry.get("under")
    by = None if keys is None or under is None else keys.by_id(under)
    salt = None if by is None else salt_of(by, call_id)
    digest = entry["sha256"] if under is None else entry["digest"]
    found = Body(role, entry["alg"], digest, entry["len"], "not kept", key_id=key_id, salt=salt)
    if key_id is None:
        if "withheld" in entry:
            return replace(found, state=entry["withheld"])
        same_as = seen.get(digest)
        return found if same_as is None else replace(found, state="same", same_as=same_as)
    stored = log.ciphertext(call_id, role)
    if stored is None:
        return replace(found, state="pruned")
    if hashlib.sha256(stored).hexdigest() != entry["ct_sha256"]:
        raise VerificationError(f"what is stored as the {role} of call {call_id} is not what its leaf commits to")
    key = None if keys is None else keys.by_id(key_id)
    if key is None:
        return replace(found, state="erased")
    body, record_key = open_body(stored, entry["commit"], key, origin=origin, call_id=call_id, role=role)
    plain = hashlib.sha256(body).hexdigest()
    if digest != (plain if salt is None else salted(plain, salt)):
        raise VerificationError(f"the {role} of call {call_id} is not the one whose digest its leaf has")
    return replace(found, state="kept", body=body, record_key=record_key)
