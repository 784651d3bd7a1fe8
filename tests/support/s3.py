"""Stores of objects: one in memory, one behind HTTP that fails on purpose, and a real one, Ceph, that locks what it is told to."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.parse
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.sax.saxutils import escape

from jupiter_addons.errors import StoreError

ACCESS = {"AWS_ACCESS_KEY_ID": "AKTEST", "AWS_SECRET_ACCESS_KEY": "SKTEST"}


@dataclass
class Kept:
    """One version."""

    key: str
    id: str
    data: bytes
    is_deletion: bool = False
    is_latest: bool = True
    headers: dict[str, str] = field(default_factory=dict)


class Memory:
    """Objects in memory, for tests of what is put there."""

    def __init__(self) -> None:
        self.kept: dict[str, list[Kept]] = defaultdict(list)
        self.failing = 0
        """So many of the next writes fail, every other after the object is there."""

    def put(self, key: str, data: bytes, encoding: str | None = None) -> str:
        headers = {} if encoding is None else {"content-encoding": encoding}
        for one in self.kept[key]:
            if one.data == data and not one.is_deletion:
                return one.id
        if self.failing:
            self.failing -= 1
            if self.failing % 2:
                self.kept[key].insert(0, Kept(key, uuid.uuid4().hex, data, headers=headers))
            raise StoreError("the store failed")
        self.kept[key].insert(0, Kept(key, uuid.uuid4().hex, data, headers=headers))
        return self.kept[key][0].id

    def get(self, key: str, version: str) -> bytes:
        for one in self.kept[key]:
            if one.id == version:
                return one.data
        raise StoreError(f"there is no version {version} of {key}")

    def versions(self, below: str) -> Iterator[Kept]:
        for key in sorted(self.kept):
            if key.startswith(below):
                yield from self.kept[key]


class Flaky:
    """An S3 of very few words whose next answers can be spoiled: `503`, `cut` (in the middle of an answer) or `hang up`."""

    def __init__(self) -> None:
        self.kept: dict[str, list[Kept]] = defaultdict(list)
        self.spoiled: list[str] = []
        self.requests = 0
        self.ignores_locks = False
        handler = type("Handler", (_Handler,), {"store": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: Flaky

    def log_message(self, *_: object) -> None:
        pass

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["content-length"]))
        if self._spoil():
            return
        key = urllib.parse.unquote(self.path.partition("?")[0])
        for one in self.store.kept[key]:
            one.is_latest = False
        names = ("x-amz-meta-sha256", "x-amz-object-lock-mode", "content-encoding")
        headers = {name: self.headers[name] for name in names if self.headers[name]}
        if self.store.ignores_locks:
            headers.pop("x-amz-object-lock-mode", None)
        kept = Kept(key, uuid.uuid4().hex, data, headers=headers)
        self.store.kept[key].insert(0, kept)
        self._answer(200, b"", {"x-amz-version-id": kept.id, "etag": f'"{hashlib.md5(data).hexdigest()}"'})

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        given = urllib.parse.parse_qs(query, keep_blank_values=True)
        if "versions" in given:
            if not self._spoil():
                self._list(given.get("prefix", [""])[0], path)
            return
        found = self.store.kept.get(urllib.parse.unquote(path), [])
        wanted = given.get("versionId", [found[0].id if found else ""])[0]
        one = next((one for one in found if one.id == wanted), None)
        if self._spoil(b"" if one is None else one.data):
            return
        if one is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>", {})
        else:
            self._answer(200, one.data, {**one.headers, "x-amz-version-id": one.id})

    def do_HEAD(self) -> None:
        self.do_GET()

    def _list(self, prefix: str, bucket: str) -> None:
        parts = []
        for key, versions in self.store.kept.items():
            name = key.removeprefix(bucket.rstrip("/") + "/")
            for one in versions if name.startswith(prefix) else ():
                latest = str(one.is_latest).lower()
                parts.append(
                    f"<Version><Key>{escape(name)}</Key><VersionId>{one.id}</VersionId>"
                    f"<IsLatest>{latest}</IsLatest></Version>"
                )
        body = f"<ListVersionsResult><IsTruncated>false</IsTruncated>{''.join(parts)}</ListVersionsResult>"
        self._answer(200, body.encode(), {"content-type": "application/xml"})

    def _spoil(self, data: bytes = b"") -> bool:
        self.store.requests += 1
        how = self.store.spoiled.pop(0) if self.store.spoiled else None
        if how == "503":
            self._answer(503, b"<Error><Code>SlowDown</Code></Error>", {})
        elif how == "cut" and self.command == "GET":
            self.send_response(200)
            self.send_header("content-length", str(len(data) + 100))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
        elif how:
            self.close_connection = True
        return bool(how)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


CEPH = all(map(shutil.which, ("radosgw", "ceph-mon", "ceph-mgr", "ceph-osd", "radosgw-admin"))) and os.geteuid() == 0
_CONF = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon}/0,v1:127.0.0.1:{old}/0]
public addr = 127.0.0.1
auth allow insecure global id reclaim = false
osd pool default size = 1
osd pool default min size = 1
mon allow pool size one = true
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 1073741824
osd pool default pg num = 1
osd pool default pgp num = 1
pid file = {d}/$name.pid
admin socket = {d}/$name.asok
log file = {d}/$name.log
keyring = {d}/keyring
mon data = {d}/mon
osd data = {d}/osd0
mgr data = {d}/mgr
mon data avail crit = 1
"""
_CAPS = {
    "client.admin": ("mon", "allow *", "osd", "allow *", "mgr", "allow *"),
    "mgr.x": ("mon", "allow profile mgr", "osd", "allow *"),
    "osd.0": ("mon", "allow profile osd", "mgr", "allow profile osd", "osd", "allow *"),
    "client.rgw": ("mon", "allow rw", "osd", "allow rwx", "mgr", "allow rw"),
}


@contextlib.contextmanager
def ceph(port: int, mon: int) -> Iterator[str]:
    """Run a gateway of Ceph over memory, a quarter of a minute to start; yield its address."""
    d = Path(tempfile.mkdtemp(prefix="jupiter-ceph-"))
    conf = str(d / "ceph.conf")

    def run(*command: str, check: bool = True) -> str:
        done = subprocess.run(command, cwd=d, capture_output=True, text=True, timeout=120, check=False)
        assert not check or done.returncode == 0, f"{command[0]}: {done.stderr[-500:]}"
        return done.stdout

    for name in ("mon", "osd0", "mgr", "rgw"):
        (d / name).mkdir()
    fsid, osd = str(uuid.uuid4()), str(uuid.uuid4())
    (d / "ceph.conf").write_text(_CONF.format(fsid=fsid, mon=mon, old=mon + 1, d=d))
    gateway: subprocess.Popen[bytes] | None = None
    try:
        run("ceph-authtool", "--create-keyring", "keyring", "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        for name, caps in _CAPS.items():
            pairs = [word for at in range(0, len(caps), 2) for word in ("--cap", caps[at], caps[at + 1])]
            run("ceph-authtool", "keyring", "--gen-key", "-n", name, *pairs)
        run(
            "monmaptool",
            "--create",
            "--addv",
            "a",
            f"[v2:127.0.0.1:{mon},v1:127.0.0.1:{mon + 1}]",
            "--fsid",
            fsid,
            "monmap",
        )
        run("ceph-mon", "-c", conf, "--mkfs", "-i", "a", "--monmap", "monmap", "--keyring", "keyring")
        run("ceph-mon", "-c", conf, "-i", "a")
        run("ceph-mgr", "-c", conf, "-i", "x")
        run("ceph", "-c", conf, "osd", "new", osd)
        run("ceph-osd", "-c", conf, "-i", "0", "--mkfs", "--osd-uuid", osd)
        run("ceph-osd", "-c", conf, "-i", "0")
        _until(lambda: "1 up" in run("ceph", "-c", conf, "osd", "stat", check=False))
        with (d / "rgw.out").open("wb") as out:
            frontends = f"--rgw_frontends=beast endpoint=127.0.0.1:{port}"
            command = ["radosgw", "-f", "-c", conf, "-n", "client.rgw", frontends, f"--rgw_data={d}/rgw"]
            gateway = subprocess.Popen(command, cwd=d, stdout=out, stderr=out, start_new_session=True)
        _until(lambda: _answers(port))
        user = ("--uid", "t", "--display-name", "t", "--access-key", "AKTEST", "--secret-key", "SKTEST")
        run("radosgw-admin", "-c", conf, "user", "create", *user)
        yield f"http://127.0.0.1:{port}"
    finally:
        if gateway is not None:
            gateway.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                gateway.wait(10)
            gateway.kill()
        for name in ("osd.0", "mgr.x", "mon.a"):
            with contextlib.suppress(OSError, ValueError):
                os.kill(int((d / f"{name}.pid").read_text()), signal.SIGTERM)
        shutil.rmtree(d, ignore_errors=True)


def _answers(port: int) -> bool:
    import urllib.error
    import urllib.request

    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=2).read()
    except (OSError, urllib.error.URLError):
        return False
    return True


def _until(condition: object) -> None:
    deadline_s = time.monotonic() + 90
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline_s, "Ceph does not come up"
        time.sleep(0.5)
