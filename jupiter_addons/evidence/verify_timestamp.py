"""Verify the timestamp in an evidence bundle, alone: this file needs Python and OpenSSL, and nothing of the project.

    python verify_timestamp.py BUNDLE CA_FILE

CA_FILE is whom you trust to vouch for the time-stamping authority, in PEM.  Exit code 0: an authority that they vouch for has
stamped the checkpoint that all leaves of the bundle are under, and the time it did is printed.  1: not so.  2: wrong usage.
What verify_bundle.py proves was there by then.  OpenSSL verifies as of that time: an authority's certificate may have run out
since.
"""

import base64
import datetime
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

_TIME = re.compile(r"^Time stamp: (\w{3} +\d+ \d\d:\d\d:\d\d)(?:\.\d+)? (\d{4}) GMT$", re.MULTILINE)


class NotProvedError(Exception):
    """The bundle has no timestamp, or one that does not hold."""


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise NotProvedError(message)


def _openssl(*arguments: str | Path) -> str:
    command = ["openssl", "ts", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    _need(done.returncode == 0, f"OpenSSL says: {' '.join(done.stderr.split())[-300:]}")
    return done.stdout


def verify(data: bytes, ca_file: Path) -> datetime.datetime:
    """Return when the checkpoint of a bundle was stamped.  Raises NotProvedError, or what Python raises at nonsense."""
    bundle = json.loads(data)
    _need("timestamp" in bundle, "there is no timestamp in it")
    [note] = {entry["proof"].partition("\n\n")[2] for entry in bundle["leaves"]}
    with tempfile.TemporaryDirectory() as place:
        checkpoint, response = Path(place) / "checkpoint", Path(place) / "response"
        checkpoint.write_bytes(note.encode())
        response.write_bytes(base64.b64decode(bundle["timestamp"], validate=True))
        found = _TIME.search(_openssl("-reply", "-in", response, "-text"))
        _need(found is not None, "OpenSSL does not say when it was stamped")
        assert found is not None, "or an error was raised"
        at = datetime.datetime.strptime(" ".join(found.groups()), "%b %d %H:%M:%S %Y").replace(tzinfo=datetime.UTC)
        when = str(int(at.timestamp()))
        _openssl("-verify", "-data", checkpoint, "-in", response, "-CAfile", ca_file, "-attime", when)
    return at


def main(arguments: list[str]) -> int:
    """Verify the timestamp of the bundle that the command line names."""
    if len(arguments) != 2:
        sys.stderr.write(__doc__ or "usage: verify_timestamp.py BUNDLE CA_FILE")
        return 2
    try:
        at = verify(Path(arguments[0]).read_bytes(), Path(arguments[1]))
    except (NotProvedError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        sys.stdout.write(f"NOT PROVED: {error}\n")
        return 1
    sys.stdout.write(f"proved: the checkpoint of the bundle was there at {at:%Y-%m-%d %H:%M:%S} UTC\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
