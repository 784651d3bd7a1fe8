"""A bundle is one canonical file; what it says is proved by `verify_bundle`, which shares no code with what made it."""

import copy
import json

import pytest
from securesystemslib.dsse import Envelope
from support.bundles import ROOT, a_bundle
from support.logs import KEY

from jupiter_addons.evidence import bundle, proof
from jupiter_addons.evidence.encoding import PAYLOAD_TYPE, from_base64, pae
from jupiter_addons.evidence.merkle import hash_leaf


def test_a_bundle_holds_envelopes_and_proofs_that_others_know():
    whole = json.loads(a_bundle())
    assert (whole["format"], len(whole["leaves"])) == (bundle.FORMAT, 2)
    for entry in whole["leaves"]:
        envelope = Envelope.from_dict(copy.deepcopy(entry["envelope"]))
        assert (envelope.payload_type, envelope.pae()) == (PAYLOAD_TYPE, pae(envelope.payload))
        KEY.public.verify(envelope.pae(), from_base64(entry["envelope"]["signatures"][0]["sig"]))
        assert proof.parse(entry["proof"].encode()).index == json.loads(envelope.payload)["idx"]
        assert hash_leaf(envelope.payload)
    assert ROOT.public.kid.startswith("jupiter-root+")


def test_what_has_no_leaf_or_one_beyond_the_checkpoint_is_no_bundle():
    with pytest.raises(ValueError, match="a bundle has leaves"):
        bundle.build([], b"", b"", 1, lambda _height, _number: bytes(32))
    with pytest.raises(ValueError, match="leaf 5 is not in a tree of 5"):
        bundle.build([bundle.Stored(5, b'{"kid":"k"}', b"")], b"", b"", 5, lambda _height, _number: bytes(32))
