"""Asking a witness, at its addresses."""

from support.trees import GrowingLog
from support.witness import a_witness

from jupiter_addons.evidence.cosignature import Cosigner, opened
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.evidence.witness import request
from jupiter_addons.storage.witness_client import WitnessClient

KEY = from_seed("log", b"\x01" * 32)
WITNESS = from_seed("w", b"\x02" * 32)
LOG = GrowingLog("jupiter/1", KEY)


def test_a_witness_is_asked_below_its_prefix(tmp_path):
    with a_witness(tmp_path, WITNESS, {"jupiter/1": [KEY.public]}) as url:
        client = WitnessClient(f"{url}/")
        assert client.checkpoint("jupiter/1") is None
        status, body = client.add_checkpoint(request(0, [], LOG.signed(5)))
        assert (status, opened(LOG.signed(5).encode() + body, [Cosigner(WITNESS.public)])[0].by) == (200, "w")
        assert opened(client.checkpoint("jupiter/1") or b"", [Cosigner(WITNESS.public)])[0].head == LOG.head(5)
        assert WitnessClient(f"{url}/elsewhere").checkpoint("jupiter/1") is None
