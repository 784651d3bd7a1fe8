"""Verify an evidence bundle, alone: this file needs Python, PyNaCl, and nothing else of the project it comes from.

    python verify_bundle.py BUNDLE ROOT [ROOT …] [WITNESS …]

ROOT is the root key as the operator of the gateway has published it: `jupiter-root+1a2b3c4d+AT…`; WITNESS one that must have
cosigned.  Exit code 0: every leaf was signed by a key that the root vouches for, and stands in the log under a checkpoint that
the log and every WITNESS signed.  1: not so.  2: wrong usage.  Formats: DSSE; C2SP note, checkpoint, cosignature; RFC 6962.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path

import nacl.signing
from nacl.exceptions import CryptoError

PAYLOAD_TYPE = "application/vnd.mercator.jupiter.evidence.v1+json"

Keys = dict[tuple[str, bytes], bytes]  # (name, id) -> public key, that of a witness after its type 4


class NotProvedError(Exception):
    """Something in the bundle is not as it was signed."""


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise NotProvedError(message)


def _unbase64(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    _need(base64.b64encode(data).decode() == text, "base64 that is not canonical")
    return data


def _key_id(name: str, key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + key.rjust(33, b"\x01")).digest()[:4]


def _read_key(printed: str) -> tuple[str, bytes]:
    name, number, data = [*printed.split("+", 2), "", ""][:3]
    raw = _unbase64(data)
    _need(len(raw) == 33 and raw[0] in (1, 4) and _key_id(name, raw).hex() == number, f"`{printed}` is no key")
    return name, raw.removeprefix(b"\x01")


def _open_note(note: str, keys: Keys, required: Keys, witnesses: Keys) -> str:
    # The text of a note that one of `required` and each of `witnesses` has signed, and nobody but them and `keys`.
    _need(not any(ord(c) < 32 and c != "\n" for c in note) and note.endswith("\n"), "a note with a control character")
    text, blank, signatures = note.rpartition("\n\n")
    text += "\n"
    signers = []
    for line in signatures[:-1].split("\n"):
        dash, name, data = line.split(" ")
        raw = _unbase64(data)
        key = {**keys, **required, **witnesses}.get((name, raw[:4]), b"")
        _need(bool(blank and key) and dash == "\u2014", f"a signature of `{name}`, who is not known")
        time_s = int.from_bytes(raw[4:12], "big")  # a witness signs when, as well as what
        head = b"cosignature/v1\ntime %d\n" % time_s if len(key) == 33 else b""
        nacl.signing.VerifyKey(key[-32:]).verify(head + text.encode(), raw[12 if head else 4 :])
        signers.append((name, raw[:4]))
    _need(len(set(signers)) == len(signers) and any(one in required for one in signers), "not signed by root or log")
    _need(all(one in signers for one in witnesses), "not cosigned by every witness that was named")
    return text


def _read_manifest(note: str, roots: Keys) -> tuple[dict[str, tuple[bytes, int | None]], list[bytes]]:
    # The keys of records by kid, each with the time since when it is revoked, and those of logs.
    lines = [line.split(" ") for line in note.rpartition("\n\n")[0].split("\n")[2:]]
    keys = [(use, *_read_key(key), int(until) if state == "revoked" else None) for use, key, state, _, until in lines]
    _need(all(len(key) == 32 for _, _, key, _ in keys), "a key of a witness in the manifest")
    text = _open_note(note, {(name, _key_id(name, key)): key for _, name, key, _ in keys}, roots, {})
    _need(text.startswith("mercator-jupiter/keys@v1\nserial "), "no manifest of keys")
    records = {f"{name}+{_key_id(name, key).hex()}": (key, since) for use, name, key, since in keys if use == "record"}
    return records, [key for use, _, key, _ in keys if use == "log"]


def _check_inclusion(leaf: bytes, proof: str, logs: list[bytes], witnesses: Keys) -> tuple[str, int]:
    head, _, note = proof.partition("\n\n")
    magic, index_line, *hashes = head.split("\n")
    index = int(index_line.removeprefix("index "))
    _need(magic == "c2sp.org/tlog-proof@v1" and index_line == f"index {index}", "no proof of inclusion")
    origin = note.partition("\n")[0]
    text = _open_note(note, {}, {(origin, _key_id(origin, key)): key for key in logs}, witnesses)
    _, size_line, root, end = text.split("\n")
    size = int(size_line)
    _need(size_line == str(size) and not end and 0 <= index < size, "no checkpoint that covers the leaf")
    node, number, last = hashlib.sha256(b"\x00" + leaf).digest(), index, size - 1
    for other in map(_unbase64, hashes):
        _need(len(other) == 32 and last > 0, "the audit path is too long")
        if number & 1 or number == last:
            node = hashlib.sha256(b"\x01" + other + node).digest()
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + other).digest()
        number, last = number >> 1, last >> 1
    _need(last == 0 and node == _unbase64(root), "the audit path does not lead to the root that the log has signed")
    return origin, index  # of the log, and in it


def verify(data: bytes, keys: list[str]) -> list[dict[str, object]]:
    """Return the decoded leaves; `keys` are roots and witnesses.  Raises NotProvedError, or what Python raises at nonsense."""
    bundle = json.loads(data)
    canonical = json.dumps(bundle, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
    _need(canonical.encode() == data, "the bundle is not canonical")
    form = (bundle["format"], *sorted(bundle.keys() - {"timestamp"}))  # which is for verify_timestamp.py
    known = form == ("mercator-jupiter/bundle@v1", "format", "keys", "leaves")
    _need(known and bundle["leaves"], "no bundle of a known form")
    given = {(name, _key_id(name, key)): key for name, key in map(_read_key, keys)}
    witnesses = {one: key for one, key in given.items() if len(key) == 33}
    records, logs = _read_manifest(bundle["keys"], {one: given[one] for one in given.keys() - witnesses.keys()})
    leaves = []
    for entry in bundle["leaves"]:
        envelope = entry["envelope"]
        [signature] = envelope["signatures"]
        fields = json.loads(leaf := _unbase64(envelope["payload"]))
        _need(envelope["payloadType"] == PAYLOAD_TYPE, "the payload is of another type")
        key, revoked = records[signature["keyid"]]
        _need(fields["kid"] == signature["keyid"], "a leaf names another key")
        signed = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(leaf), leaf)
        nacl.signing.VerifyKey(key).verify(signed, _unbase64(signature["sig"]))
        _need(revoked is None or fields["t_us"] < revoked, "a leaf was signed by a key after that was revoked")
        place = _check_inclusion(leaf, entry["proof"], logs, witnesses)
        _need(place == (fields["log"], fields["idx"]), "a leaf stands elsewhere than it says")
        leaves.append(fields)
    _need(len({leaf["id"] for leaf in leaves}) == 1, "the leaves are of different calls")
    return leaves


def main(arguments: list[str]) -> int:
    """Verify the bundle that the command line names."""
    if len(arguments) < 2:
        sys.stderr.write(__doc__ or "usage: verify_bundle.py BUNDLE ROOT [ROOT …]")
        return 2
    try:
        leaves = verify(Path(arguments[0]).read_bytes(), arguments[1:])
    except (NotProvedError, CryptoError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        sys.stdout.write(f"NOT PROVED: {error}\n")
        return 1
    for leaf in leaves:
        sys.stdout.write(f"proved: leaf {leaf['idx']} of `{leaf['log']}`: {leaf['kind']} of call {leaf['id']}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
