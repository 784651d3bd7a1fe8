"""A bundle of one call, made without a database."""

from support.logs import KEY, LOG_KEY, a_decision, an_outcome, seal

from jupiter_addons.evidence import bundle, checkpoint, manifest
from jupiter_addons.evidence import note as notes
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.cosignature import cosign
from jupiter_addons.evidence.manifest import Manifest
from jupiter_addons.evidence.merkle import Edge, hash_leaf, nodes
from jupiter_addons.evidence.signing import SigningKey, from_seed

ROOT: SigningKey = from_seed("jupiter-root", b"\x05" * 32)
KEYS: Manifest = manifest.first(KEY.public, LOG_KEY.public, 0)


def a_bundle(
    *,
    keys: Manifest = KEYS,
    root: SigningKey = ROOT,
    log_key: SigningKey = LOG_KEY,
    wanted: tuple[int, ...] = (4, 7),
    origin: str = "l",
    witnesses: tuple[SigningKey, ...] = (),
) -> bytes:
    calls = [a_decision(f"c{n}") for n in range(6)]
    rows = seal([*calls, an_outcome("c0"), an_outcome("c4"), *(an_outcome(f"c{n}") for n in (1, 2, 3, 5))])
    edge = Edge()
    hashes = [hash_leaf(row.leaf) for row in rows]
    for one in hashes:
        edge.append(one)
    head = Checkpoint(origin, len(rows), edge.root())
    cosigned = (notes.line(cosign(str(head), witness, 1_700_000_000)) for witness in witnesses)
    note = checkpoint.sign(head, log_key) + "".join(cosigned)
    leaves = [bundle.Stored(rows[idx].idx, rows[idx].leaf, rows[idx].signature) for idx in wanted]
    signed = manifest.sign(keys, root).encode()
    return bundle.build(leaves, signed, note.encode(), len(rows), nodes(lambda _level, _n: hashes))
