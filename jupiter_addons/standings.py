"""What the admin port says of limits: how they stand, what a call would do to them, and their reset.

    GET  /limits?user=alice&model=gpt-4o                                  the limits of such a call
    GET  /limits?user=alice&model=gpt-4o&input_tokens=500&output_tokens=100   what it would take
    POST /limits?team=lab                                                 forget what was taken, but for what runs

What is forgotten is what the subjects that are named have taken, and the keys of a user: nothing that others share with them.
To reset takes the token in `<state_dir>/admin.token`: who may read that file may read the counters' own, and no page in a
browser can.  What is told of users is not for pages either; `telemetry.admin` turns them away.
"""

import contextlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
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
                if asked.keys() & set(AMOUNTS):
                    return 400, _error("a reset takes subjects, and no amounts")
                limits = self._limits_of(asked)
                if missing := self._missing(asked, limits):
                    return 404, _error(f"{'; '.join(missing)}; nothing is reset")
                return 200, orjson.dumps({"reset": await self._reset(asked, limits)})
            return 200, orjson.dumps(await self._show(asked))
        except StoreError as error:
            return 503, _error(str(error))

    async def _show(self, asked: Mapping[str, str]) -> dict[str, Any]:
        limits, ledger = self._limits(asked), self.parts.stores.ledger
        amounts, refused = self._simulated(asked)
        rows = report(limits, await ledger.counts(limits), ledger.wall_s(), amounts)
        if amounts is not None and not asked.get("model"):
            for row in rows:
                if row["unit"] == "usd":  # what it takes depends on the model
                    row |= {"takes": None, "fits": None}
        return {"limits": rows} if refused is None else {"limits": rows, "refused": refused}

    async def _reset(self, asked: Mapping[str, str], limits: Sequence[Limit]) -> list[dict[str, str]]:
        await self.parts.stores.ledger.reset(limits)
        who = {name: asked[name] for name in SUBJECTS if name in asked}
        if "user" in who:
            who["user"] = pseudonym(self.parts.stores.pseudonym_key, who["user"])
        await self.parts.stores.log.append(control("limits.reset", limits=len(limits), **who))
        return [{"subject": limit.subject, "limit": limit.name} for limit in limits]

    def _missing(self, asked: Mapping[str, str], limits: Sequence[Limit]) -> list[str]:
        """Return what is wrong with the subjects of a reset: one that nobody is, or that no limit is on, may be misspelled."""
        user = asked.get("user")
        if user is not None and user not in self._users():
            return [f"no user is called `{user}`"]
        limited = {limit.subject for limit in limits}
        if user is not None and any(f"key:{key}" in limited for key in self._keys_of(user)):
            limited.add(f"user:{user}")
        return [
            f"{name} `{asked[name]}` is under no limit of its own"
            for name in SUBJECTS
            if name in asked and f"{name}:{asked[name]}" not in limited
        ]

    def _simulated(self, asked: Mapping[str, str]) -> tuple[Amounts | None, str | None]:
        """Return what a call would take, if one is asked about, and why it is refused whatever its limits say, if it is."""
        if not any(name in asked for name in AMOUNTS):
            return None, None
        into, out = (int(asked.get(name, "0")) for name in AMOUNTS)
        model = asked.get("model", "")
        price = self.parts.price_for(Call("openai_chat", "chat", model, False, (), out, 1, None, (), {}))
        if price is not None:
            return Amounts(into, out, hold_of(into, out, price)), None
        refuses = model and self.parts.settings.processing.costs.unknown_model == "refuse"
        return Amounts(into, out), f"model `{model}` has no known price and cannot be budgeted" if refuses else None

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
        return [*(limit for user in self._users() for limit in self._own(user, {})), *shared]

    def _limits_of(self, asked: Mapping[str, str]) -> list[Limit]:
        """Return the limits of the subjects that are named and of no others, a user's keys among them; all if none is."""
        if "user" not in asked:
            return self._limits(asked)
        user = asked["user"]
        named = {f"{name}:{asked[name]}" for name in SUBJECTS if name in asked}
        named |= {f"key:{key}" for key in self._keys_of(user)}
        return [*self._own(user, asked), *(one for one in self.parts.limit_plan.shared() if one.subject in named)]

    def _own(self, user: str, asked: Mapping[str, str]) -> list[Limit]:
        """Return the limits that are a user's alone."""
        limits = self.parts.limits_for(self._principal(user, asked), "")
        return [limit for limit in limits if limit.subject == f"user:{user}"]

    def _users(self) -> Sequence[str]:
        """Return everybody that the configuration or a key names.  Raises StoreError."""
        keyed = (record.user for record in self.parts.stores.keys.current().values())
        return sorted({*self.parts.directory, *self.parts.settings.limits.by_user, *keyed})

    def _keys_of(self, user: str) -> list[str]:
        return [record.id for record in self.parts.stores.keys.current().values() if record.user == user]

    def _principal(self, user: str, asked: Mapping[str, str]) -> Principal:
        known = self.parts.directory.get(user)
        attributes = dict(known.attributes) if known is not None else {}
        if "organisation" in asked:
            attributes["organisation"] = asked["organisation"]
        team = asked.get("team", known.team if known is not None else None)
        return Principal(user, asked.get("key", ""), team, (), attributes)


def _error(message: str) -> bytes:
    return orjson.dumps({"error": message})
