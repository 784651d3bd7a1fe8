"""Cosignatures: what is signed is what C2SP says, and nothing that is almost one is taken for one."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence import checkpoint, note
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.cosignature import Cosigner, Witnessed, cosign, opened, parse_cosigner, time_of
from jupiter_addons.evidence.signing import PublicKey, from_seed

LOG = from_seed("log", b"\x01" * 32)
WITNESS = from_seed("witness.example/w1", b"\x02" * 32)
COSIGNER = Cosigner(WITNESS.public)
HEAD = Checkpoint("jupiter/1", 17, bytes(range(32)))
TIME_S = 1679315147
COSIGNED = (checkpoint.sign(HEAD, LOG) + note.line(cosign(str(HEAD), WITNESS, TIME_S))).encode()


def test_openssl_verifies_a_cosignature_over_the_bytes_that_the_specification_spells_out():
    line = COSIGNED.decode().splitlines()[-1]
    raw = base64.b64decode(line.rpartition(" ")[2])
    key = WITNESS.public.raw
    assert line.startswith("\u2014 witness.example/w1 ")
    assert raw[:4] == hashlib.sha256(b"witness.example/w1\n\x04" + key).digest()[:4]
    assert int.from_bytes(raw[4:12], "big") == TIME_S
    root = base64.b64encode(bytes(range(32)))
    Ed25519PublicKey.from_public_bytes(key).verify(
        raw[12:], b"cosignature/v1\ntime 1679315147\njupiter/1\n17\n" + root + b"\n"
    )


def test_what_a_witness_has_seen_is_read_whoever_else_has_signed():
    assert opened(COSIGNED, [COSIGNER]) == (Witnessed(HEAD, "witness.example/w1", TIME_S),)
    assert checkpoint.opened(COSIGNED, [LOG.public], [COSIGNER]) == HEAD
    other = from_seed("witness.example/w2", b"\x03" * 32)
    both = COSIGNED + note.line(cosign(str(HEAD), other, 5)).encode()
    assert [one.by for one in opened(both, [Cosigner(other.public), COSIGNER])] == [COSIGNER.name, other.public.name]
    alone = f"{HEAD}\n{note.line(cosign(str(HEAD), WITNESS, TIME_S))}".encode()
    assert opened(alone, [COSIGNER])


def test_no_flipped_bit_is_accepted():
    accepted = []
    for bit in range(len(COSIGNED) * 8):
        flipped = bytearray(COSIGNED)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            checkpoint.opened(bytes(flipped), [LOG.public], [COSIGNER])
            accepted.append(bit)
        except VerificationError:
            pass
    assert accepted == []


@pytest.mark.parametrize(
    "line",
    [
        note.signature_line(str(HEAD), WITNESS),
        note.line(note.Signature(WITNESS.public.name, COSIGNER.id, WITNESS.sign(str(HEAD).encode()))),
        note.line(cosign(str(HEAD), WITNESS, 0)),
        note.line(cosign(str(HEAD), WITNESS, 2**63)),
        note.line(cosign(str(HEAD), from_seed("witness.example/w1", b"\x05" * 32), TIME_S)),
        note.line(cosign(str(Checkpoint("jupiter/2", 17, HEAD.root)), WITNESS, TIME_S)),
        "",
    ],
    ids=["a plain signature", "without a time", "time 0", "time too late", "another key", "another log", "none"],
)
def test_what_is_almost_a_cosignature_is_none(line):
    with pytest.raises(VerificationError):
        opened(checkpoint.sign(HEAD, LOG).encode() + line.encode(), [COSIGNER])


def test_a_witness_is_printed_and_read_in_one_form():
    printed = str(COSIGNER)
    assert parse_cosigner(f" {printed}\n") == COSIGNER
    assert time_of(cosign("t\n", WITNESS, 9).raw) == 9
    for bad in (
        str(WITNESS.public),
        "",
        printed[:-4],
        printed.replace("w1", "w2"),
        str(Cosigner(PublicKey("a b", WITNESS.public.raw))),
        str(Cosigner(PublicKey("", WITNESS.public.raw))),
    ):
        with pytest.raises(ValueError):
            parse_cosigner(bad)
