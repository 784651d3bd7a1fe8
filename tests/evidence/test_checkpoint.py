"""Checkpoints: one form, signed by the log they are of."""

import pytest
from support.vectors import AT_HAND, VECTORS

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence import checkpoint, note
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.signing import from_seed

KEY = from_seed("log", b"\x01" * 32)
OLD = from_seed("log", b"\x02" * 32)
WITNESS = from_seed("witness.example", b"\x03" * 32)
HEAD = Checkpoint("jupiter/1", 17, bytes(range(32)))


def test_a_checkpoint_comes_back_signed_by_the_name_of_its_log():
    signed = checkpoint.sign(HEAD, KEY, OLD)
    assert signed.count("\u2014 jupiter/1 ") == 2
    assert checkpoint.opened(signed.encode(), [KEY.public, OLD.public]) == HEAD
    assert checkpoint.opened(signed.encode(), [KEY.public], strangers=True) == HEAD


def test_a_witness_alone_does_not_speak_for_a_log():
    cosigned = checkpoint.sign(HEAD, KEY) + note.signature_line(str(HEAD), WITNESS)
    assert checkpoint.opened(cosigned.encode(), [KEY.public], [WITNESS.public]) == HEAD
    alone = note.sign(str(HEAD), WITNESS)
    with pytest.raises(VerificationError, match="not signed by a key of its log"):
        checkpoint.opened(alone.encode(), [KEY.public], [WITNESS.public])


def test_a_checkpoint_signed_by_another_name_is_refused():
    signed = note.sign(str(HEAD), KEY)
    with pytest.raises(VerificationError, match="not trusted"):
        checkpoint.opened(signed.encode(), [KEY.public])


ROOT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"o\n1\n{ROOT}",
        f"\n1\n{ROOT}\n",
        f"o\n01\n{ROOT}\n",
        f"o\n+1\n{ROOT}\n",
        f"o\n1_0\n{ROOT}\n",
        f"o\n-1\n{ROOT}\n",
        f"o\n\u0661\n{ROOT}\n",
        f"o\n{2**53 + 1}\n{ROOT}\n",
        f"o\n1\n{ROOT[:-1]}\n",
        f"o\n1\n{ROOT[:-2]}9=\n",
        "o\n1\nAAAA\n",
        f"o\n1\n{ROOT}\nextension\n",
    ],
)
def test_what_is_almost_a_checkpoint_is_none(text):
    with pytest.raises(VerificationError):
        checkpoint.parse(text)


def test_the_one_form_is_read():
    assert checkpoint.parse(f"o\n1\n{ROOT}\n") == Checkpoint("o", 1, bytes(range(32)))


@AT_HAND
def test_the_published_checkpoint_is_read():
    found = checkpoint.parse(note.parse((VECTORS / "c2sp/tlog-checkpoint-example.txt").read_bytes()).text)
    assert (found.origin, found.size) == ("example.com/behind-the-sofa", 20852163)
