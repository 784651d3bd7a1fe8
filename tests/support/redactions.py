"""Redactions and a detector to test with."""

from dataclasses import dataclass

import re2

from jupiter_addons.policy.effects import By, Redaction
from jupiter_addons.policy.redact import Rewriter, Takes, Vault

EMAIL = r"[a-z0-9.]{1,20}@[a-z0-9]{1,20}\.(?:com|org)"


@dataclass(frozen=True)
class Found:
    kind: str
    start: int
    end: int


def find(text, kinds):
    """A detector that knows addresses and four digits."""
    patterns = {"email": EMAIL, "pin": "[0-9]{4}"}
    wanted = patterns if "pii" in kinds else {kind: patterns[kind] for kind in kinds}
    return [Found(kind, m.start(), m.end()) for kind, pattern in wanted.items() for m in re2.finditer(pattern, text)]


def takes(pattern=None, *, rule="r", kinds=(), vault=None, **change) -> Takes:
    compiled = None if pattern is None else re2.compile(pattern)
    return Takes(Redaction(By("p", rule), (), pattern=compiled, kinds=kinds, **change), find, vault or Vault())


def a_rewriter(*searchers) -> Rewriter:
    return Rewriter(searchers)
