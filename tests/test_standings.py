"""Whose limits are shown and reset, and the token that a reset takes."""

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jupiter_addons.enrichment.prices import Price
from jupiter_addons.errors import StoreError
from jupiter_addons.identity.principals import Principal, Profile
from jupiter_addons.limits.limit import Limit, Terms
from jupiter_addons.limits.plan import Caller, LimitPlan, Tables
from jupiter_addons.limits.store import Count
from jupiter_addons.standings import TOKEN_FILE, Standings, token_in
from jupiter_addons.units import NanoUsdPerMillion


def test_it_is_made_once_and_is_its_owners_alone(tmp_path: Path):
    token = token_in(tmp_path / "state")
    assert len(token) == 64
    assert token_in(tmp_path / "state") == token
    assert (tmp_path / "state" / TOKEN_FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "state").iterdir()] == [TOKEN_FILE]


def test_workers_that_start_together_have_one(tmp_path: Path):
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(token_in, [tmp_path] * 32))) == 1


def test_an_empty_file_is_no_token(tmp_path: Path):
    """A disk that was full, or an end at the wrong moment: everybody would know that token."""
    (tmp_path / TOKEN_FILE).write_text("\n")
    with pytest.raises(StoreError, match="is empty"):
        token_in(tmp_path)


DAY = {"requests_per_day": Terms(9)}
TABLES = Tables(
    default=DAY,
    by_user={"written": DAY, "payer": {"requests_per_day": None, "usd_per_day": Terms(5_000_000_000)}},
    by_key={"k-carol": DAY, "k-other": DAY},
    by_team={"lab": DAY},
    by_model={"m": DAY},
    by_provider={"p": DAY},
    overall=DAY,
)
PRICE = Price(*(NanoUsdPerMillion(10**9),) * 4, source="test")


class Counted:
    """A ledger that remembers whose limits were reset."""

    def __init__(self) -> None:
        self.was_reset: list[str] = []

    def wall_s(self) -> float:
        return 0.0

    async def counts(self, limits: Sequence[Limit]) -> list[Count]:
        return [Count(0, 0) for _ in limits]

    async def reset(self, limits: Sequence[Limit]) -> None:
        self.was_reset += [limit.subject for limit in limits]


class Log:
    """Evidence that goes nowhere."""

    async def append(self, fields: object) -> None:
        pass


def asked(method: str, unknown_model: str = "refuse", **who: str) -> tuple[int, Any, list[str]]:
    """Return the answer, and whose limits were reset."""
    plan, ledger = LimitPlan(TABLES), Counted()
    keys = {key: SimpleNamespace(id=key, user=user) for key, user in (("k-carol", "carol"), ("k-plain", "keyed"))}
    stores = SimpleNamespace(
        ledger=ledger, log=Log(), pseudonym_key=b"k" * 32, keys=SimpleNamespace(current=lambda: keys)
    )

    def limits_for(who: Principal, model: str) -> tuple[Limit, ...]:
        return plan.limits_for(Caller(who.user, who.key_id, who.team), model)

    parts: Any = SimpleNamespace(
        limit_plan=plan,
        directory={"carol": Profile("lab")},
        price_for=lambda call: PRICE if call.model == "priced" else None,
        settings=SimpleNamespace(
            limits=SimpleNamespace(by_user=TABLES.by_user),
            processing=SimpleNamespace(costs=SimpleNamespace(unknown_model=unknown_model)),
        ),
        limits_for=limits_for,
        stores=stores,
    )
    status, body = asyncio.run(Standings(parts, "token").answer(method, who, "token"))
    return status, json.loads(body), sorted(ledger.was_reset)


EVERYBODY = ["user:carol", "user:keyed", "user:payer", "user:written"]
SHARED = ["global", "key:k-carol", "key:k-other", "model:m", "provider:p", "team:lab"]


@pytest.mark.parametrize(
    ("who", "subjects"),
    [
        ({"user": "carol"}, ["key:k-carol", "user:carol"]),
        ({"user": "written"}, ["user:written"]),
        ({"user": "keyed", "team": "lab"}, ["team:lab", "user:keyed"]),
        ({"user": "keyed", "model": "m", "provider": "p"}, ["model:m", "provider:p", "user:keyed"]),
        ({"team": "lab"}, ["team:lab"]),
        ({"key": "k-other"}, ["key:k-other"]),
        ({"model": "m"}, ["model:m"]),
        ({"provider": "p"}, ["provider:p"]),
        ({}, sorted([*EVERYBODY, *SHARED])),
    ],
)
def test_a_reset_is_of_those_who_are_named_and_names_what_it_has_reset(who, subjects):
    status, body, was_reset = asked("POST", **who)
    assert (status, was_reset) == (200, subjects)
    assert sorted(row["subject"] for row in body["reset"]) == subjects
    assert {row["limit"] for row in body["reset"]} <= {"requests_per_day", "usd_per_day"}


@pytest.mark.parametrize(
    ("who", "message"),
    [
        ({"user": "carrol"}, "no user is called `carrol`"),
        ({"user": "carol", "team": "lba"}, "team `lba` is under no limit"),
        ({"model": "n"}, "model `n` is under no limit"),
    ],
)
def test_a_name_that_nobody_has_is_said_and_nothing_is_reset(who, message):
    status, body, was_reset = asked("POST", **who)
    assert (status, was_reset) == (404, [])
    assert message in body["error"]


def test_a_reset_that_names_amounts_only_resets_nobody():
    status, body, was_reset = asked("POST", input_tokens="1")
    assert (status, was_reset) == (400, [])
    assert "no amounts" in body["error"]


def test_without_a_name_all_users_are_shown_that_the_configuration_or_a_key_names():
    _, body, _ = asked("GET")
    assert [row["subject"] for row in body["limits"]][:4] == EVERYBODY


@pytest.mark.parametrize(
    ("model", "unknown_model", "takes", "fits", "refused"),
    [
        ("priced", "refuse", 6.0, False, False),
        ("", "refuse", None, None, False),
        ("secret", "refuse", 0.0, True, True),
        ("secret", "free", 0.0, True, False),
    ],
)
def test_what_a_call_takes_of_money_is_not_told_without_a_model_and_one_without_a_price_is_refused(
    model, unknown_model, takes, fits, refused
):
    _, body, _ = asked("GET", unknown_model, user="payer", model=model, input_tokens="6000000")
    (money,) = [row for row in body["limits"] if row["unit"] == "usd"]
    assert (money["takes"], money["fits"], "refused" in body) == (takes, fits, refused)
