"""What was said in an exchange, for the record: which bodies there are, and which of them may be kept, encrypted.

A body is not kept if it is longer than the bound, if it has what a rule of redaction took out (the request as it came; an
answer before its own redaction; an answer into which what was taken out of the request was put back), or if it holds a
credential.  The leaf then names the reason, and has the digest as always.  Nothing is ever cut to fit.

Kept or not, the digests of bodies are salted under the key of the user: what somebody guesses cannot be looked up.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jupiter_addons.evidence.keyring import Subject, SubjectKey
from jupiter_addons.evidence.payload import Kept, Salted, Sealed, Withheld, attempt_role, salt_of, salted, seal_body
from jupiter_addons.evidence.record import Payload, Role, digest
from jupiter_addons.exchange import Digest, Exchange
from jupiter_addons.identity.keys import ID_LENGTH, PREFIX
from jupiter_addons.policy.decide import Decision
from jupiter_addons.policy.effects import Redaction
from jupiter_addons.storage.subject_keys import SubjectKeys

OFF_LOOP_BYTES = 32 * 1024
"""From here on, compressing and encrypting would hold the event loop up for a quarter of a millisecond: a thread does it."""

_JUPITER_KEY = re.compile(rb"%b_[a-z0-9]{%d}_[A-Za-z0-9_-]{43}" % (PREFIX.encode(), ID_LENGTH))


@dataclass(frozen=True, slots=True)
class Body:
    """One body of an exchange, its digest, and whether it has what a rule took out."""

    payload: Payload
    body: bytes | None
    """None if it was not kept while it passed."""
    redacted: bool = False
    stored_as: str = ""
    """The role under which it is stored, if that is not the payload's: a call may send several requests."""


class Content:
    """Seals bodies under the keys of their subjects."""

    def __init__(
        self, keys: SubjectKeys, origin: str, *, most_bytes: int, keep_redacted: bool, credentials: Sequence[str]
    ) -> None:
        """`origin` is the log's; `credentials` are keys of providers, which no record may hold."""
        self._keys = keys
        self._origin = origin
        self._most_bytes = most_bytes
        self._keep_redacted = keep_redacted
        self._credentials = [key.encode() for key in credentials]

    async def seal(
        self, x: Exchange, subject: Subject, bodies: Sequence[Body], known: Sequence[str] = ()
    ) -> tuple[list[Payload], list[Sealed]]:
        """Return the payloads of a leaf, and what is to be stored with it.  Raises StoreError.

        Bodies whose digests are `known` are on record already.
        """
        seen, wanted = set(known), list[bool]()
        for body in bodies:
            wanted.append(body.payload.sha256 not in seen and body.payload.length > 0)
            seen.add(body.payload.sha256)
        key = self._keys.cached(subject)
        total_bytes = sum(len(one.body or b"") for one, is_wanted in zip(bodies, wanted, strict=True) if is_wanted)
        if key is None:
            key = await asyncio.to_thread(self._keys.key_of, subject, x.arrived_us)
        if total_bytes > OFF_LOOP_BYTES:
            return await asyncio.to_thread(self._sealed, x.call_id, key, bodies, wanted)
        return self._sealed(x.call_id, key, bodies, wanted)

    def _sealed(
        self, call_id: str, key: SubjectKey, bodies: Sequence[Body], wanted: Sequence[bool]
    ) -> tuple[list[Payload], list[Sealed]]:
        payloads: list[Payload] = []
        stored: list[Sealed] = []
        salt = salt_of(key, call_id)
        for one, is_wanted in zip(bodies, wanted, strict=True):
            kept: Kept | Withheld | None = self._withheld(one) if is_wanted else None
            if is_wanted and kept is None and one.body is not None:
                role = one.stored_as or one.payload.role
                sealed, commit = seal_body(one.body, key, origin=self._origin, call_id=call_id, role=role)
                kept = Kept(key.id, sealed.sha256, commit)
                stored.append(sealed)
            digest = Salted(key.id, salted(one.payload.sha256, salt))
            payloads.append(replace(one.payload, kept=kept, salted=digest))
        return payloads, stored

    def _withheld(self, one: Body) -> Withheld | None:
        if one.redacted and not self._keep_redacted:
            return "redacted"
        if one.body is None or len(one.body) > self._most_bytes:
            return "too_large"
        holds_key = _JUPITER_KEY.search(one.body) or any(key in one.body for key in self._credentials)
        return "credential" if holds_key else None


def request_bodies(x: Exchange) -> list[Body]:
    """Return the request as it was received, and as it is sent if it is."""
    if not x.filled("received"):
        return []
    received = _whole("request", x.received, redacted=_request_redacted(x))
    if not x.filled("sent"):
        return [received]
    if x.sent is x.received:
        return [received, replace(received, payload=replace(received.payload, role="request_upstream"))]
    return [received, _whole("request_upstream", x.sent)]


def attempt_bodies(x: Exchange, number: int) -> list[Body]:
    """Return what a further attempt sends, under a role of its own: a call has several."""
    return [replace(_whole("request_upstream", x.sent), stored_as=attempt_role(number))]


def response_bodies(x: Exchange) -> list[Body]:
    """Return the answer as the provider gave it, and as the client gets it."""
    if x.filled("relay"):
        answered, delivered = x.relay.digests(x.refusal)
        return _answer(x, _digested("response", answered), _digested("delivered", delivered))
    if not x.filled("answered"):
        return []
    response = _whole("response", x.answered)
    if x.refusal is not None:
        return _answer(x, response)
    whole = x.delivered if x.filled("delivered") else x.rendered if x.filled("rendered") else x.answered
    if whole is not x.answered:
        return _answer(x, response, _whole("delivered", whole))
    return _answer(x, response, replace(response, payload=replace(response.payload, role="delivered")))


def _answer(x: Exchange, response: Body, delivered: Body | None = None) -> list[Body]:
    changed = delivered is None or delivered.payload.sha256 != response.payload.sha256
    judged = x.reply_decision if x.filled("reply_decision") else None
    found = {str(by) for by, count in x.rewriter.counts.items() if count} if x.filled("rewriter") else set()
    taken_out = changed and bool(_redacting(judged) & found)
    put_back = changed and x.filled("outgoing") and bool(x.outgoing.put_back)
    if judged is not None and judged.verdict == "deny":  # what it would have taken out is still in it
        taken_out = bool(_redacting(judged))
    bodies = [replace(response, redacted=taken_out)]
    return bodies if delivered is None else [*bodies, replace(delivered, redacted=put_back)]


def _request_redacted(x: Exchange) -> bool:
    """Whether the request as it came has what a rule has taken out of it, or would have."""
    redacting = _redacting(x.decision if x.filled("decision") else None)
    if not x.filled("outgoing"):
        return bool(redacting)
    return bool(redacting & {change.rule for change in x.outgoing.changes})


def _redacting(decision: Decision | None) -> set[str]:
    if decision is None:
        return set()
    return {str(effect.by) for effect in decision.effects if isinstance(effect, Redaction)}


def _whole(role: Role, body: bytes, *, redacted: bool = False) -> Body:
    return Body(digest(role, body), body, redacted)


def _digested(role: Role, passed: Digest) -> Body:
    return Body(Payload(role, passed.sha256, passed.length), passed.body)
