"""A small signed log, made without a database."""

from jupiter_addons.evidence import manifest, record
from jupiter_addons.evidence.encoding import ZERO_HASH, encode, leaf_hash, pae
from jupiter_addons.evidence.signing import SigningKey, from_seed
from jupiter_addons.evidence.verify import Row
from jupiter_addons.storage.signing_keys import Keys

KEY: SigningKey = from_seed("evidence", b"\x01" * 32)
LOG_KEY: SigningKey = from_seed("log", b"\x02" * 32)
SIGNING = Keys(KEY, LOG_KEY, manifest.first(KEY.public, LOG_KEY.public, 0), b"\x03" * 32)
KEYS = SIGNING.manifest.keys("record")
WHO = record.Who("hmac:alice", "key1", "lab")


def a_decision(
    call_id: str, *, end: record.End | None = None, model: str = "m", verdict: str = "allow"
) -> record.Fields:
    return record.decision(
        call_id=call_id,
        correlation="r",
        who=WHO,
        door="gateway",
        method="POST",
        path="/v1/chat/completions",
        verdict=verdict,
        gen_ai={"request.model": model, "provider.name": "p"},
        rules=[],
        policy_sha256=None,
        config_sha256="b" * 64,
        tags={},
        tokens={},
        hold_nusd=0,
        payloads=[],
        end=end,
    )


def an_outcome(call_id: str, status: record.Status = "ok") -> record.Fields:
    return record.outcome(
        call_id=call_id,
        end=record.End(status, 200),
        upstream_status=200,
        gen_ai={"usage.input_tokens": 3, "usage.output_tokens": 4},
        usage_source="provider",
        charge_nusd=5,
        price_source="test",
        payloads=[],
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
