"""What the admin port says of limits: how they stand, what a call would do to them, and their reset.

    GET  /limits?user=alice&model=gpt-4o                                  the limits of such a call
    GET  /limits?user=alice&model=gpt-4o&input_tokens=500&output_tokens=100   what it would take
    POST /limits?team=lab                                                 forget what was taken, but for what runs

To reset takes the token in `<state_dir>/admin.token`: who may read that file may read the counters' own, and no page in a
browser can.  What is told of users is not for pages either; `telemetry.admin` turns them away.
"""

import contextlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from jupiter_addons.dialects.call import Call
from jupiter_addons.enrichment.describe import hold_of
from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.record import control, pseudonym
from jupiter_addons.identity.principals import Principal
from jupiter_addons.limits.limit import Amounts, Limit
from jupiter_addons.limits.report import report
from jupiter_addons.parts import Parts

SUBJECTS = ("user", "key", "team", "organisation", "model", "provider")
AMOUNTS = ("input_tokens", "output_tokens")
TOKEN_FILE = "admin.token"  # noqa: S105 - the name of the file


def token_in(state_dir: Path) -> str:
    """Return the token of this gateway, which is made if there is none.  Raises StoreError.

    It is there whole or not at all, also for workers that start together: an empty one would be everybody's.
    """
    path = state_dir / TOKEN_FILE
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            made, name = tempfile.mkstemp(dir=state_dir, prefix=f"{TOKEN_FILE}.")  # of mode 0600
            try:
                with os.fdopen(made, "w") as file:
                    file.write(secrets.token_hex(32))
                with contextlib.suppress(FileExistsError):
                    os.link(name, path)
            finally:
                Path(name).unlink()
        token = path.read_text().strip()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    if not token:
        raise StoreError(f"{path} is empty; hint: delete it, and another is made")
    return token


class Standings:
    """Answers for one gateway."""

    def __init__(self, parts: Parts, token: str) -> None:
        self.parts = parts
        self._token = token

    async def answer(self, method: str, asked: Mapping[str, str], token: str) -> tuple[int, bytes]:
        """Return a status and a JSON body."""
        unknown = asked.keys() - {*SUBJECTS, *AMOUNTS}
        if unknown or not all(asked[name].isdigit() and len(asked[name]) < 16 for name in AMOUNTS if name in asked):
            return 400, _error(f"known here are {', '.join((*SUBJECTS, *AMOUNTS))}; amounts are whole numbers")
        try:
            if method == "POST":
                if not hmac.compare_digest(token.encode(), self._token.encode()):
                    return 403, _error(f"a reset takes the token in {TOKEN_FILE}")
                return 200, orjson.dumps({"reset": await self._reset(asked)})
            return 200, orjson.dumps({"limits": await self._show(asked)})
        except StoreError as error:
            return 503, _error(str(error))

    async def _show(self, asked: Mapping[str, str]) -> list[dict[str, Any]]:
        limits, ledger = self._limits(asked), self.parts.stores.ledger
        return report(limits, await ledger.counts(limits), ledger.wall_s(), self._amounts(asked))

    async def _reset(self, asked: Mapping[str, str]) -> int:
        limits = self._limits(asked)
        await self.parts.stores.ledger.reset(limits)
        who = {name: asked[name] for name in SUBJECTS if name in asked}
        if "user" in who:
            who["user"] = pseudonym(self.parts.stores.pseudonym_key, who["user"])
        await self.parts.stores.log.append(control("limits.reset", limits=len(limits), **who))
        return len(limits)

    def _amounts(self, asked: Mapping[str, str]) -> Amounts | None:
        if not any(name in asked for name in AMOUNTS):
            return None
        into, out = (int(asked.get(name, "0")) for name in AMOUNTS)
        call = Call("openai_chat", "chat", asked.get("model", ""), False, (), out, 1, None, (), {})
        price = self.parts.price_for(call)
        return Amounts(into, out, 0 if price is None else hold_of(into, out, price))

    def _limits(self, asked: Mapping[str, str]) -> list[Limit]:
        """Return the limits of a call, if a user is named; else those of the subjects that are named; else all."""
        model, plan = asked.get("model", ""), self.parts.limit_plan
        if "user" in asked:
            principal = self._principal(asked["user"], asked)
            found = list(self.parts.limits_for(principal, model))
            return [*found, *plan.limits_at(asked["provider"])] if "provider" in asked else found
        shared = plan.shared()
        named = {f"{name}:{asked[name]}" for name in SUBJECTS if name in asked}
        if named:
            return [limit for limit in shared if limit.subject in named]
        users = (self.parts.limits_for(self._principal(user, {}), "") for user in self.parts.directory)
        own = [limit for limits in users for limit in limits if limit.subject.startswith("user:")]
        return [*own, *shared]

    def _principal(self, user: str, asked: Mapping[str, str]) -> Principal:
        known = self.parts.directory.get(user)
        attributes = dict(known.attributes) if known is not None else {}
        if "organisation" in asked:
            attributes["organisation"] = asked["organisation"]
        team = asked.get("team", known.team if known is not None else None)
        return Principal(user, asked.get("key", ""), team, (), attributes)


def _error(message: str) -> bytes:
    return orjson.dumps({"error": message})
