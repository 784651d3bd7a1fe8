"""SIGHUP: what is read again holds from the next request on, and nothing else changes."""

import signal
import threading
from pathlib import Path

import yaml
from support.gateway import Gateway, Setup, start_gateway
from support.wire import Client, chat, post, wait_until

from jupiter_addons.rehearsal.server import RehearsalThread

CHAT = "/v1/chat/completions"
DENY = """
mpl_version: "1.0"
name: house
rules:
  - name: closed
    conditions: [{field: request.model, operator: "==", value: rehearsal-1}]
    actions: [{type: deny, code: closed, message: not today}]
"""
ALLOW = DENY.replace("rehearsal-1", "another")


def hang_up(gateway: Gateway) -> None:
    gateway.process.send_signal(signal.SIGHUP)


def status(client: Client, gateway: Gateway, **fields: object) -> int:
    return client.ask(post(CHAT, chat(**fields), gateway.key)).status


def test_new_rules_hold_for_the_next_request_on_the_same_connection(provider: RehearsalThread, tmp_path: Path):
    with start_gateway(tmp_path, provider.port, Setup(policies={"house.yaml": ALLOW})) as gateway:
        with Client(gateway.port) as client:
            assert status(client, gateway) == 200
            (tmp_path / "policies/house.yaml").write_text(DENY)
            hang_up(gateway)
            assert wait_until(lambda: status(client, gateway) == 403)
            (tmp_path / "policies/house.yaml").write_text("rules: [")
            hang_up(gateway)
            assert wait_until(lambda: "is not reloaded" in gateway.log)
            assert "house.yaml:1" in gateway.log
            assert status(client, gateway) == 403
            (tmp_path / "policies/house.yaml").write_text(ALLOW)
            hang_up(gateway)
            assert wait_until(lambda: status(client, gateway) == 200)
        assert gateway.process.poll() is None
        loads = [leaf["detail"]["sha256"] for leaf in gateway.leaves("policy.load")]
        assert [loads.index(sha256) for sha256 in loads] == [0, 1, 0]
        assert gateway.report().findings == []


def test_a_stream_that_runs_keeps_what_it_began_with_and_counters_keep_their_counts(
    provider: RehearsalThread, tmp_path: Path
):
    setup = Setup(policies={"house.yaml": ALLOW}, overrides={"limits": {"default": {"requests_per_minute": 4}}})
    with start_gateway(tmp_path, provider.port, setup) as gateway, Client(gateway.port) as client:
        client.send(post(CHAT, chat("[[events=20]][[gap_ms=50]]", stream=True), gateway.key))
        _, headers = client.head()
        pieces = client.pieces(headers)
        next(pieces)
        rule = "{field: response.content, operator: exists, value: true}"
        (tmp_path / "policies/house.yaml").write_text(
            DENY.replace('{field: request.model, operator: "==", value: rehearsal-1}', rule)
        )
        hang_up(gateway)
        assert wait_until(lambda: "reloaded;" in gateway.log)
        assert b"".join(pieces).endswith(b"data: [DONE]\n\n")
        assert [status(client, gateway) for _ in range(4)] == [403, 403, 403, 429]


def test_reloads_under_load_drop_nothing(provider: RehearsalThread, tmp_path: Path):
    with start_gateway(tmp_path, provider.port, Setup(policies={"house.yaml": ALLOW})) as gateway:
        wrong: list[int] = []
        over = threading.Event()

        def ask() -> None:
            with Client(gateway.port) as client:
                while not over.is_set():
                    if (found := status(client, gateway)) != 200:
                        wrong.append(found)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(1, 11):
            hang_up(gateway)
            assert wait_until(lambda number=number: gateway.log.count("reloaded;") >= number)
        over.set()
        for thread in threads:
            thread.join(20)
        assert wrong == []


def test_what_needs_a_restart_is_named(provider: RehearsalThread, tmp_path: Path):
    with start_gateway(tmp_path, provider.port) as gateway:
        settings = yaml.safe_load(gateway.config.read_text())
        settings["proxy"]["listen_address"] = "127.0.0.1:1"
        settings["proxy"]["max_in_flight"] = 7
        gateway.config.write_text(yaml.safe_dump(settings))
        hang_up(gateway)
        assert wait_until(lambda: "reloaded;" in gateway.log)
        assert "`proxy.listen_address` has changed, which takes effect after a restart" in gateway.log
        with Client(gateway.port) as client:
            assert status(client, gateway) == 200
