"""Small signed logs, made without a database or as a gateway makes them."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

from jupiter_addons.evidence import manifest, record
from jupiter_addons.evidence.encoding import ZERO_HASH, encode, leaf_hash, pae
from jupiter_addons.evidence.signing import SigningKey, from_seed
from jupiter_addons.evidence.verify import Row
from jupiter_addons.storage.evidence_index import advance
from jupiter_addons.storage.evidence_schema import MIGRATIONS
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity
from jupiter_addons.storage.signing_keys import Keys
from jupiter_addons.storage.sqlite import connect

KEY: SigningKey = from_seed("evidence", b"\x01" * 32)
LOG_KEY: SigningKey = from_seed("log", b"\x02" * 32)
SIGNING = Keys(KEY, LOG_KEY, manifest.first(KEY.public, LOG_KEY.public, 0), b"\x03" * 32)
KEYS = SIGNING.manifest.keys("record")
WHO = record.Who("hmac:alice", "key1", "lab")


def a_decision(
    call_id: str,
    *,
    end: record.End | None = None,
    model: str = "m",
    verdict: str = "allow",
    who: record.Who = WHO,
    **change: Any,
) -> record.Fields:
    """Return the decision leaf of a call; `change` overrides any other argument of `record.decision`."""
    given: dict[str, Any] = {
        "door": "gateway",
        "gen_ai": {"request.model": model, "provider.name": "p"},
        "rules": [],
        "policy_sha256": None,
        "tags": {},
        "tokens": {},
        "hold_nusd": 0,
        "payloads": [],
        **change,
    }
    return record.decision(
        call_id=call_id,
        correlation="r",
        who=who,
        method="POST",
        path="/v1/chat/completions",
        verdict=verdict,
        config_sha256="b" * 64,
        end=end,
        **given,
    )


def an_outcome(call_id: str, status: record.Status = "ok", **change: Any) -> record.Fields:
    """Return the outcome leaf of a call; `change` overrides any other argument of `record.outcome`."""
    given: dict[str, Any] = {
        "end": record.End(status, 200),
        "upstream_status": 200,
        "gen_ai": {"usage.input_tokens": 3, "usage.output_tokens": 4},
        "usage_source": "provider",
        "charge_nusd": 5,
        "price_source": "test",
        "payloads": [],
        **change,
    }
    return record.outcome(call_id=call_id, **given)


def an_attempt(call_id: str, number: int, provider: str) -> record.Fields:
    """Return the leaf of a further attempt."""
    sent = record.digest("request_upstream", b"{}")
    return record.attempt(
        call_id=call_id, number=number, provider=provider, model="m", failed="connect", elapsed_us=9, sent=sent
    )


def seal(leaves: list[record.Fields], **change: object) -> list[Row]:
    """Return rows as a log would hold them; `change` overrides what it adds to each."""
    rows: list[Row] = []
    previous = ZERO_HASH
    for idx, fields in enumerate(leaves):
        added = {"v": 1, "log": "l", "idx": idx, "prev": previous, "t_us": 1000 + idx, "kid": KEY.public.kid, **change}
        leaf = encode({**fields, **added})
        previous = leaf_hash(leaf)
        rows.append(Row(idx, leaf, KEY.sign(pae(leaf))))
    return rows


def write_log(path: Path, leaves: list[record.Fields], keys: Keys = SIGNING, *, index: bool = True) -> None:
    """Write a log as a gateway does; `index` has it indexed whole, however far the gateway's own indexing has come."""

    async def main() -> None:
        ticks = itertools.count(1_000_000)
        log = EvidenceLog(path, Identity(keys, "test", "0"), clock=lambda: next(ticks) * 1_000_000)
        try:
            await asyncio.gather(*(log.append(fields) for fields in leaves))
        finally:
            log.close()

    asyncio.run(main())
    if index:
        db = connect(path, MIGRATIONS)
        while advance(db):
            pass
        db.close()
