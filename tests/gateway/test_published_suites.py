"""The ten published policies of `examples/policies`, through a real gateway: what each lets pass, and what it does not."""

from collections.abc import Iterator

import pytest
from support.published import AT_HAND, CHAT, EXAMPLES, SUITES, Case, Published, published, table
from support.published_suites import NO, SUITE_CASES
from support.wire import Client, chat, post, wait_until

from jupiter_addons.rehearsal.server import RehearsalThread

pytestmark = AT_HAND


@pytest.fixture(scope="module")
def production(provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    with published(tmp_path_factory.mktemp("production"), provider, "production") as running:
        running.spend("token-spender", text="word " * 100_100)
        running.spend("hourly-101", requests=101)
        running.spend("hourly-model", requests=21, model="gpt-4")
        put(running, "rate-limiting")
        slow = Case("when the second is over", who="hourly-model", model="gpt-4o")
        assert wait_until(lambda: running.ask(slow).status == 200)
        yield running
        report = running.gateway.report()
        assert report.findings == []
        assert not report.open_calls


def put(production: Published, name: str) -> None:
    path = EXAMPLES / SUITES / name
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path.with_suffix(".yaml")]
    production.put(*(str(file.relative_to(EXAMPLES)) for file in files))


@table(SUITE_CASES)
def test_a_published_suite_decides_as_published(file: str, case: Case, production: Published):
    put(production, file)
    production.check(case)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("multi-rule", "System in emergency mode. All requests suspended."),
        ("production-policy", "Service temporarily unavailable for maintenance"),
    ],
)
def test_the_operators_switch_stops_everything_and_lets_it_pass_again(file: str, message: str, production: Published):
    put(production, file)
    production.reload(emergency_mode=True)
    try:
        production.check(Case("stopped", denied=(NO, message), logs=(("error", "…mergency mode active…"),)))
    finally:
        production.reload(emergency_mode=False)
    assert production.ask(Case("passes")).status == 200


@pytest.mark.parametrize(
    ("who", "file", "message"),
    [
        (
            "fast-1",
            "rate-limiting",
            "Request rate too high. Maximum 10 requests per second. Please add delays between requests.",
        ),
        ("fast-2", "production-policy", "Too many requests. Maximum 10 per second."),
        ("fast-3", "multi-file/rate-limits", "Too many requests. Max 10/second."),
    ],
)
def test_the_twelfth_call_in_a_second_is_denied(who: str, file: str, message: str, production: Published):
    """A call counts from when it is made; eleven before it are more than ten."""
    put(production, file)
    with Client(production.gateway.port) as client:
        request = post(CHAT, chat(model="gpt-4o"), production.keys[who])
        answers = [client.ask(request) for _ in range(60)]
    statuses = [answer.status for answer in answers]
    assert statuses[:11] == [200] * 11
    denied = answers[statuses.index(403)]
    assert denied.json()["error"]["message"] == message


@pytest.mark.parametrize("file", ["multi-rule", "production-policy", "multi-file/security"])
def test_nobody_comes_to_a_rule_about_callers_without_a_key(file: str, production: Published):
    put(production, file)
    with Client(production.gateway.port) as client:
        answer = client.ask(post(CHAT, chat(model="gpt-4o")))
    assert (answer.status, answer.code) == (401, "missing_key")
