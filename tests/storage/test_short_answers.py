"""Asking somebody else: whatever they do, an answer is short and comes in time, or is none."""

import contextlib
import http.client
import socket
import threading
import time

import pytest

from jupiter_addons.errors import StoreError
from jupiter_addons.storage.short_answers import DEADLINE_S, Stranger


def stranger(url: str, ca_file=None, deadline_s: float = DEADLINE_S) -> Stranger:
    return Stranger("witness", url, 65535, ca_file, deadline_s)


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
def test_who_does_not_come_to_an_end_is_left(head, piece):
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server, head, piece, stop), daemon=True)
        thread.start()
        started_s = time.monotonic()
        asked = stranger(f"http://127.0.0.1:{server.getsockname()[1]}", deadline_s=0.5)
        with contextlib.suppress(StoreError):
            status, data = asked.ask("POST", "/", b"x")
            assert len(data) < 65536 and status == 200  # what came until it was cut
        assert time.monotonic() - started_s < 20
        stop.set()
        thread.join(30)


def test_who_takes_all_the_time_to_be_reached_has_none_to_answer(monkeypatch):
    """A handshake that is dragged out, or an address that is dead before one that is not: there was nothing to cut then."""
    stop, reach = threading.Event(), http.client.HTTPConnection.connect

    def late(connection: http.client.HTTPConnection) -> None:
        time.sleep(0.4)
        reach(connection)

    monkeypatch.setattr(http.client.HTTPConnection, "connect", late)
    with socket.create_server(("127.0.0.1", 0)) as server:
        head = b"HTTP/1.1 200 OK\r\ncontent-length: 600\r\n\r\n"
        thread = threading.Thread(target=drip, args=(server, head, b"x", stop), daemon=True)
        thread.start()
        started_s = time.monotonic()
        asked = stranger(f"http://127.0.0.1:{server.getsockname()[1]}", deadline_s=0.2)
        with pytest.raises(StoreError, match="in time"):
            asked.ask("POST", "/", b"x")
        assert time.monotonic() - started_s < 20
        stop.set()
        thread.join(30)


def test_one_that_is_not_there_is_a_fault():
    with pytest.raises(StoreError, match="the witness at `http://127.0.0.1:9` gives no answer"):
        stranger("http://127.0.0.1:9").ask("GET", "/", None)


def test_authorities_that_cannot_be_read_are_said(tmp_path):
    (tmp_path / "ca.pem").write_text("none")
    with pytest.raises(StoreError, match="authorities"):
        stranger("https://127.0.0.1:9", tmp_path / "ca.pem")
    assert stranger("https://127.0.0.1:9/a/b").path == "/a/b"
