"""A time-stamping authority: `openssl ts` with keys made for the test, and a port on loopback in front of it."""

import contextlib
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

type Answer = Callable[[bytes], tuple[int, bytes]]

_CONFIG = """
[tsa]
default_tsa = ours
[ours]
serial = {directory}/serial
signer_cert = {directory}/tsa.pem
signer_key = {directory}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = {digests}
accuracy = secs:1
tsa_name = yes
ess_cert_id_alg = sha256
{more}
"""
_STAMPS = "extendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\nbasicConstraints=CA:FALSE\n"
_VOUCHES = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"


class TimestampAuthority:
    """An authority with a root, somebody between, and a key that stamps.  Skips the test where there is no openssl."""

    def __init__(
        self, directory: Path, *, usage: str = _STAMPS, digests: str = "sha256", chain: bool = True, days: int = 3650
    ) -> None:
        """`usage` is what its certificate is for; `chain` says whether it sends the certificates above its own."""
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not there")
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        for name in ("root", "between", "tsa"):
            self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")
        (directory / "vouches").write_text(_VOUCHES)
        (directory / "usage").write_text(usage)
        self._certify("root", "root", "vouches", days)
        self._certify("between", "root", "vouches", days)
        self._certify("tsa", "between", "usage", days)
        (directory / "serial").write_text("01\n")
        (directory / "chain.pem").write_text(
            (directory / "root.pem").read_text() + (directory / "between.pem").read_text()
        )
        more = f"certs = {directory}/chain.pem" if chain else ""
        (directory / "tsa.cnf").write_text(_CONFIG.format(directory=directory, digests=digests, more=more))

    @property
    def root(self) -> Path:
        """The certificate to trust."""
        return self.directory / "root.pem"

    def answer(self, query: bytes) -> bytes:
        """Return what it says to a query."""
        (self.directory / "query").write_bytes(query)
        self._openssl("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "answer")
        return (self.directory / "answer").read_bytes()

    def granted(self, query: bytes) -> tuple[int, bytes]:
        """Return status and body of what it says over HTTP."""
        return 200, self.answer(query)

    def _certify(self, name: str, by: str, extensions: str, days: int) -> None:
        subject = f"/O=Tests/CN={name}"
        self._openssl("req", "-new", "-key", f"{name}.key", "-subj", subject, "-out", f"{name}.csr")
        signer = (
            ["-signkey", "root.key"] if by == name else ["-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial"]
        )
        command = ["x509", "-req", "-in", f"{name}.csr", *signer, "-days", str(days)]
        self._openssl(*command, "-extfile", extensions, "-out", f"{name}.pem")

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(
            ["openssl", *arguments], cwd=self.directory, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Serve an authority; yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["content-length"]))
            is_query = self.headers["content-type"] == "application/timestamp-query"
            status, body = answer(query) if is_query else (415, b"")
            self.send_response(status)
            self.send_header("content-type", "application/timestamp-reply")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/tsr"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(30)
