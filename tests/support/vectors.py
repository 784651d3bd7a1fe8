"""Published vectors, which are not part of this project; they lie beside a checkout, in `../shared/vectors`."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parents[3] / "shared" / "vectors"
AT_HAND = pytest.mark.skipif(not VECTORS.is_dir(), reason="the published vectors are not at hand (../shared/vectors)")


def merkle(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the vectors of transparency-dev/merkle of one kind, by their names."""
    for path in sorted((VECTORS / "rfc6962" / kind).rglob("*.json")):
        yield path.relative_to(VECTORS / "rfc6962").as_posix(), json.loads(path.read_text())


def unbase64(text: str | None) -> bytes:
    return base64.b64decode(text or "")
