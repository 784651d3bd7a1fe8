"""Tunnels by host: bounded, in any spelling of a host, and together for several workers."""

import datetime

from jupiter_addons.telemetry.tunnels import MOST_HOSTS, Tunnels, merge


def some_tunnels(second: int = 0) -> Tunnels:
    return Tunnels(lambda: datetime.datetime(2026, 1, 1, 0, 0, second, tzinfo=datetime.UTC))


def test_what_became_of_tunnels_is_counted_by_host_in_whatever_spelling():
    tunnels = some_tunnels()
    tunnels.note("api.openai.com", "opened")
    tunnels.note("API.OpenAI.com.", "tls_failed")
    tunnels.note("example.com", "tunnelled")
    assert tunnels.report() == {
        "hosts": {
            "api.openai.com": {"opened": 1, "tls_failed": 1, "last": "2026-01-01T00:00:00Z"},
            "example.com": {"tunnelled": 1, "last": "2026-01-01T00:00:00Z"},
        }
    }


def test_only_so_many_hosts_are_remembered_and_names_are_cut():
    tunnels = some_tunnels()
    for number in range(MOST_HOSTS + 10):
        tunnels.note(f"h{number}", "denied")
        tunnels.note("often", "denied")
    tunnels.note("x" * 10_000, "denied")
    hosts = tunnels.report()["hosts"]
    assert len(hosts) == MOST_HOSTS
    assert hosts["often"]["denied"] == MOST_HOSTS + 10
    assert max(map(len, hosts)) < 300


def test_several_workers_together_count_sums_and_the_latest_time():
    one, other = some_tunnels(1), some_tunnels(2)
    one.note("a", "opened")
    other.note("b", "denied")
    one.note("b", "denied")
    assert merge([one.report(), other.report()]) == {
        "hosts": {
            "a": {"opened": 1, "last": "2026-01-01T00:00:01Z"},
            "b": {"denied": 2, "last": "2026-01-01T00:00:02Z"},
        }
    }
    assert merge([]) == {"hosts": {}}
