"""What was said is shown if it is what was committed to, and otherwise what became of it."""

import asyncio
import hashlib
import sqlite3
from dataclasses import replace

import pytest
from support.logs import SIGNING, a_decision, an_attempt, an_outcome

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.keyring import Subject
from jupiter_addons.evidence.payload import Kept, Salted, salt_of, salted, seal_body
from jupiter_addons.evidence.record import Payload, digest
from jupiter_addons.storage.evidence_content import bodies_of, says
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity
from jupiter_addons.storage.subject_keys import SubjectKeys

ALICE = Subject("lab", "hmac:alice")
ASKED, ANSWERED, AGAIN = b"what was asked", b"what was answered", b"asked once more"


@pytest.fixture
def keys(tmp_path):
    store = SubjectKeys(tmp_path / "keys.db", b"\x07" * 32)
    yield store
    store.close()


@pytest.fixture
def log(tmp_path, keys):
    path = tmp_path / "e.db"

    async def main():
        log = EvidenceLog(path, Identity(SIGNING, "test", "0"))

        def sealed(role, body, stored_as=None):
            stored, commit = seal_body(
                body, keys.key_of(ALICE, 1), origin=log.origin, call_id="c", role=stored_as or role
            )
            plain = digest(role, body)
            return Payload(role, plain.sha256, plain.length, Kept(stored.key_id, stored.sha256, commit)), stored

        asked, asked_row = sealed("request", ASKED)
        same = digest("request_upstream", ASKED)
        await log.append(a_decision("c", payloads=[asked, same]), [asked_row])
        again, again_row = sealed("request_upstream", AGAIN, "request_upstream.2")
        attempt = {**an_attempt("c", 2, "q"), "payload": a_decision("c", payloads=[again])["payload"]}
        await log.append(attempt, [again_row])
        answered, answered_row = sealed("response", ANSWERED)
        large = Payload("delivered", "0" * 64, 10**9, "too_large")
        await log.append(an_outcome("c", payloads=[answered, large]), [answered_row])
        await log.append(a_decision("bare", payloads=[digest("request", b"x")]))
        log.close()

    asyncio.run(main())
    return path


def test_every_body_is_shown_or_said_what_became_of_it(log, keys):
    found = bodies_of([log], "c", keys)
    assert [(body.role, body.state, body.body, body.same_as) for body in found] == [
        ("request", "kept", ASKED, None),
        ("request_upstream", "same", None, "request"),
        ("request_upstream.2", "kept", AGAIN, None),
        ("response", "kept", ANSWERED, None),
        ("delivered", "too_large", None, None),
    ]
    assert [body.state for body in bodies_of([log], "bare", keys)] == ["not kept"]
    assert bodies_of([log], "nowhere", keys) == []


def test_digests_are_compared_whether_they_have_a_salt_or_are_of_before_they_had_one(tmp_path, keys):
    """A salted digest is given out with what it can be compared with, for as long as its key is there."""
    key = keys.key_of(ALICE, 1)
    salt = salt_of(key, "c")

    def payload(body, *, right=True, stored=True):
        sealed, commit = seal_body(body, key, origin=origin[0], call_id="c", role="request")
        plain = digest("request", body if right else b"other")
        kept = Kept(sealed.key_id, sealed.sha256, commit) if stored else None
        return Payload("request", plain.sha256, plain.length, kept, Salted(key.id, salted(plain.sha256, salt))), sealed

    origin = [""]

    async def main(path, *, right):
        log = EvidenceLog(path, Identity(SIGNING, "test", "0"))
        origin[0] = log.origin
        first, row = payload(ASKED, right=right)
        same, _ = payload(ASKED, stored=False)
        await log.append(a_decision("c", payloads=[first, replace(same, role="request_upstream")]), [row])
        log.close()

    asyncio.run(main(tmp_path / "good.db", right=True))
    asked, sent = bodies_of([tmp_path / "good.db"], "c", keys)
    assert (asked.alg, asked.state, asked.body, asked.salt) == ("hmac-sha256", "kept", ASKED, salt)
    assert asked.digest == salted(hashlib.sha256(ASKED).hexdigest(), salt) != hashlib.sha256(ASKED).hexdigest()
    assert (sent.state, sent.same_as, sent.salt) == ("same", "request", salt)
    asyncio.run(main(tmp_path / "bad.db", right=False))
    with pytest.raises(VerificationError, match="not the one whose digest"):
        bodies_of([tmp_path / "bad.db"], "c", keys)
    keys.erase(ALICE.user, 2, "", None)
    assert [(one.state, one.salt) for one in bodies_of([tmp_path / "good.db"], "c", keys)] == [
        ("erased", None),
        ("same", None),
    ]


def test_words_are_searched_for_in_what_can_be_read(log, keys):
    assert says([log], "c", keys, "WAS answered")
    assert says([log], "c", keys, "never said") is False
    assert says([log], "bare", keys, "x") is None
    assert says([log], "c", None, "answered") is None


def test_without_the_keys_nothing_is_shown(log, keys):
    assert {body.body for body in bodies_of([log], "c", None)} == {None}
    keys.erase("hmac:alice", 2, "", None)
    assert [body.state for body in bodies_of([log], "c", keys)] == ["erased", "same", "erased", "erased", "too_large"]


def test_what_is_no_longer_stored_is_said_so(log, keys):
    with sqlite3.connect(log) as db:
        db.execute("DELETE FROM payload")
    db.close()
    assert bodies_of([log], "c", keys)[0].state == "pruned"


@pytest.mark.parametrize("at", [0, 1, 80, -1])
def test_what_was_changed_is_not_shown(log, keys, at):
    with sqlite3.connect(log) as db:
        (stored,) = db.execute("SELECT ct FROM payload WHERE role = 'request'").fetchone()
        changed = bytearray(stored)
        changed[at] ^= 1
        db.execute("UPDATE payload SET ct = ? WHERE role = 'request'", (bytes(changed),))
    db.close()
    with pytest.raises(VerificationError, match="not what its leaf commits to"):
        bodies_of([log], "c", keys)


def test_two_payloads_that_changed_places_are_not_shown(log, keys):
    with sqlite3.connect(log) as db:
        db.execute(
            "UPDATE payload SET role = CASE role WHEN 'request' THEN 'x' WHEN 'response' THEN 'request' ELSE role END"
        )
        db.execute("UPDATE payload SET role = 'response' WHERE role = 'x'")
    db.close()
    with pytest.raises(VerificationError):
        bodies_of([log], "c", keys)
