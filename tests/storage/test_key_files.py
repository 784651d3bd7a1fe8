"""Key files are what everybody else reads, private, and whole."""

import stat
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.storage import key_files

KEY = from_seed("evidence", b"\x07" * 32)


def test_others_read_our_keys_and_we_theirs(tmp_path):
    private = serialization.load_pem_private_key(key_files.pkcs8(KEY.seed), password=None)
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    assert private.public_key().public_bytes(*raw) == KEY.public.raw
    assert serialization.load_pem_public_key(key_files.spki(KEY.public)).public_bytes(*raw) == KEY.public.raw
    made = tmp_path / "openssl.key"
    made.touch(0o600)
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", made], check=True)
    public = subprocess.run(["openssl", "pkey", "-in", made, "-pubout"], check=True, capture_output=True).stdout
    (tmp_path / "openssl.pub").write_bytes(public)
    read = from_seed("evidence", key_files.read_pkcs8(made)).public
    assert read == key_files.read_spki(tmp_path / "openssl.pub", "evidence")


def test_a_private_file_is_private_made_once_and_leaves_no_draft(tmp_path):
    path = tmp_path / "a.key"
    key_files.write_once(path, key_files.pkcs8(KEY.seed))
    assert key_files.read_pkcs8(path) == KEY.seed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        key_files.write_once(path, b"other")
    assert [one.name for one in tmp_path.iterdir()] == ["a.key"]
    path.chmod(0o640)
    with pytest.raises(StoreError, match="can be read by others"):
        key_files.read_pkcs8(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "no Ed25519 PRIVATE KEY"),
        (b"\xff", "holds no key"),
        (b"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n", "holds no key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no Ed25519 PRIVATE KEY"),
        (key_files.pkcs8(KEY.seed)[:-10], "holds no key"),
        (key_files.spki(KEY.public), "no Ed25519 PRIVATE KEY"),
    ],
)
def test_what_is_no_private_key_is_refused(tmp_path, text, said):
    path = tmp_path / "a.key"
    path.touch(0o600)
    path.write_bytes(text)
    with pytest.raises(StoreError, match=said):
        key_files.read_pkcs8(path)


def test_a_seed_is_32_bytes_of_base64(tmp_path):
    path = tmp_path / "pseudonym.key"
    key_files.write_once(path, key_files.seed_text(b"\x01" * 32))
    assert key_files.read_seed(path) == b"\x01" * 32
    for text, said in ((b"c2hvcnQ=\n", "does not hold 32 bytes"), (b"\xff no\n", "is not base64")):
        path.write_bytes(text)
        with pytest.raises(StoreError, match=said):
            key_files.read_seed(path)
    with pytest.raises(StoreError, match="cannot read the public key"):
        key_files.read_spki(tmp_path / "none.pub", "x")
