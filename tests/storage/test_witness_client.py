"""Asking a witness: whatever it does, an answer is short and comes in time, or is none."""

import contextlib
import socket
import threading
import time

import pytest
from support.trees import GrowingLog
from support.witness import a_witness

from jupiter_addons.errors import StoreError
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


def drip(server: socket.socket, head: bytes, piece: bytes, stop: threading.Event) -> None:
    connection, _ = server.accept()
    with connection:
        try:
            connection.recv(65536)
            connection.sendall(head)
            while not stop.wait(0.05) and piece:
                connection.sendall(piece)
        except OSError:
            return


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536),
        (b"SSH-2.0-nonsense\r\n", b"x"),
    ],
    ids=["nothing", "headers without an end", "a body byte by byte", "a body without an end", "no HTTP"],
)
def test_a_witness_that_does_not_come_to_an_end_is_left(head, piece):
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server, head, piece, stop), daemon=True)
        thread.start()
        started_s = time.monotonic()
        client = WitnessClient(f"http://127.0.0.1:{server.getsockname()[1]}", deadline_s=0.5)
        with contextlib.suppress(StoreError):
            status, data = client.add_checkpoint(b"x")
            assert len(data) < 65536 and status == 200  # what came until it was cut
        assert time.monotonic() - started_s < 20
        stop.set()
        thread.join(30)


def test_one_that_is_not_there_is_a_fault():
    with pytest.raises(StoreError, match="gives no answer"):
        WitnessClient("http://127.0.0.1:9").checkpoint("x")


def test_authorities_that_cannot_be_read_are_said(tmp_path):
    (tmp_path / "ca.pem").write_text("none")
    with pytest.raises(StoreError, match="authorities"):
        WitnessClient("https://127.0.0.1:9", tmp_path / "ca.pem")
    assert WitnessClient("https://127.0.0.1:9").url
