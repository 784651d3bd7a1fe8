"""The verifier that others run: alone, and strict."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.bundles import KEYS, ROOT, a_bundle
from support.logs import KEY

from jupiter_addons.evidence import verify_bundle
from jupiter_addons.evidence.cosignature import Cosigner
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.evidence.verify_bundle import NotProvedError, verify

ROOTS = [str(ROOT.public)]
SCRIPT = Path(verify_bundle.__file__)


def refused(data: bytes, roots=ROOTS) -> bool:
    from nacl.exceptions import CryptoError

    try:
        verify(data, roots)
    except (NotProvedError, CryptoError, ValueError, LookupError, TypeError, AttributeError):
        return True
    return False


def test_a_good_bundle_is_proved():
    assert [(leaf["kind"], leaf["id"]) for leaf in verify(a_bundle(), ROOTS)] == [("decision", "c4"), ("outcome", "c4")]


def test_no_flipped_bit_is_accepted():
    data = a_bundle(wanted=(4,))
    accepted = []
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        accepted += [] if refused(bytes(flipped)) else [bit]
    assert accepted == []


def test_nothing_cut_off_or_added_is_accepted():
    data = a_bundle()
    assert [cut for cut in range(0, len(data), 7) if not refused(data[:cut])] == []
    assert refused(data + b"\n") and refused(b" " + data) and refused(data + data)


@pytest.mark.parametrize(
    ("data", "roots"),
    [
        (a_bundle(root=from_seed("jupiter-root", b"\x06" * 32)), ROOTS),
        (a_bundle(log_key=from_seed("log", b"\x07" * 32)), ROOTS),
        (a_bundle(origin="m"), ROOTS),
        (a_bundle(wanted=(4, 6)), ROOTS),
        (a_bundle(keys=KEYS.rotated("record", from_seed("evidence", b"\x08" * 32).public, 500, revoke=True)), ROOTS),
        (a_bundle(), []),
        (a_bundle(), [str(KEY.public)]),
    ],
    ids=["another root", "another log key", "another log", "two calls", "a revoked key", "no root", "no root key"],
)
def test_what_somebody_else_has_made_is_not_proved(data, roots):
    assert refused(data, roots)


def test_what_was_signed_before_a_key_was_rotated_or_revoked_is_proved():
    new = from_seed("evidence", b"\x08" * 32).public
    for keys in (KEYS.rotated("record", new, 500), KEYS.rotated("record", new, 2_000, revoke=True)):
        assert verify(a_bundle(keys=keys), ROOTS)


W1, W2 = (from_seed(name, b"\x09" * 32) for name in ("witness.example/w1", "w2"))
COSIGNERS = [str(Cosigner(one.public)) for one in (W1, W2)]


def test_witnesses_that_are_named_must_have_cosigned_and_nobody_else_may_have():
    both = a_bundle(witnesses=(W1, W2))
    assert verify(both, ROOTS + COSIGNERS)
    assert verify(a_bundle(witnesses=(W1,)), [COSIGNERS[0], *ROOTS])
    assert refused(both, ROOTS) and refused(both, ROOTS + COSIGNERS[:1])
    assert refused(a_bundle(), ROOTS + COSIGNERS) and refused(a_bundle(witnesses=(W1,)), ROOTS + COSIGNERS)
    assert refused(both, COSIGNERS), "a witness is no root"
    assert refused(both, [*ROOTS, str(W1.public), str(W2.public)]), "a root is no witness"
    other = str(Cosigner(from_seed("w2", b"\x0a" * 32).public))
    assert refused(both, [*ROOTS, COSIGNERS[0], other])


def test_no_flipped_bit_of_a_cosigned_checkpoint_is_accepted():
    data = a_bundle(wanted=(4,), witnesses=(W1,))
    first = data.index(b"witness.example/w1")
    accepted = []
    for bit in range(first * 8, (data.index(b"\\n", first) + 2) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        accepted += [] if refused(bytes(flipped), ROOTS + COSIGNERS[:1]) else [bit]
    assert accepted == []


def test_proofs_swapped_between_leaves_prove_nothing():
    whole = json.loads(a_bundle())
    first, second = whole["leaves"]
    first["proof"], second["proof"] = second["proof"], first["proof"]
    assert refused((json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n").encode())


def run(tmp_path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of the file where nothing of the project can be imported."""
    alone = tmp_path / "verify_bundle.py"
    alone.write_text(SCRIPT.read_text())
    guard = "import sys, runpy; sys.modules['jupiter_addons'] = None; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-I", "-c", guard, str(alone), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )


def test_it_works_alone_and_says_by_its_exit_code_what_came_of_it(tmp_path):
    (tmp_path / "good.json").write_bytes(a_bundle())
    (tmp_path / "bad.json").write_bytes(a_bundle().replace(b'"keys"', b'"kexs"'))
    good = run(tmp_path, "good.json", *ROOTS)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.splitlines() == [
        "proved: leaf 4 of `l`: decision of call c4",
        "proved: leaf 7 of `l`: outcome of call c4",
    ]
    bad = run(tmp_path, "bad.json", *ROOTS)
    assert (bad.returncode, bad.stdout.startswith("NOT PROVED: ")) == (1, True)
    assert run(tmp_path, "good.json").returncode == 2
    for arguments, why in (
        (("good.json", "nonsense"), "`nonsense` is no key"),
        (("good.json", f"root    {ROOTS[0]}"), "is no key"),
        (("good.json", *ROOTS, COSIGNERS[0]), "not cosigned by every witness that was named"),
        (("none.json", *ROOTS), "No such file"),
    ):
        done = run(tmp_path, *arguments)
        assert (done.returncode, done.stdout.startswith("NOT PROVED: "), why in done.stdout) == (1, True, True)


def test_it_is_small_and_needs_only_pynacl():
    text = SCRIPT.read_text()
    assert len(text.splitlines()) <= 150
    imported = {
        alias.name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    imported |= {
        str(node.module).partition(".")[0] for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)
    }
    assert imported - sys.stdlib_module_names == {"nacl"}
