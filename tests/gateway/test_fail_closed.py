"""A fault in any hook of any stage, in all three ways of starting: nothing ungoverned passes, nothing is lost.

Up to commit: a refusal, and the provider sees nothing.  After it: an error in the client's dialect, settled once, recorded
once.  In observe: counted, and nothing else.
"""

import contextlib
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import faults
from support.gateway import WAYS, Gateway, Setup, start_gateway
from support.wire import Answer, Client, chat, get, post, wait_until

from jupiter_addons.rehearsal.server import RehearsalThread

CHAT = "/v1/chat/completions"
WATCHING = ("CountRefused", "Learn", "NoticeTunnels", "Observe", "Warn")
NAMES = sorted(faults.hooks())
BEFORE = [n for n in NAMES if n.partition(".")[2] in ("requestheaders", "request") and not n.startswith(WATCHING)]
AFTER = [n for n in NAMES if n.partition(".")[2] in ("responseheaders", "response") and not n.startswith(WATCHING)]
BROKEN = [n for n in NAMES if n.endswith(".error") and not n.startswith(WATCHING)]
CONNECT = [n for n in NAMES if n.endswith(".http_connect") and not n.startswith((*WATCHING, "Record"))]
WATCHED = [n for n in NAMES if n.startswith(WATCHING)]


class Bench:
    """A gateway whose next request can be made to fail at a place."""

    def __init__(self, gateway: Gateway, provider: RehearsalThread, fault_file: Path) -> None:
        self.gateway, self.provider, self._file = gateway, provider, fault_file

    @contextlib.contextmanager
    def fault(self, place: str) -> Iterator[None]:
        self._file.write_text(place)
        try:
            yield
        finally:
            self._file.write_text("")

    def ask(self, place: str, body: dict, path: str = CHAT) -> tuple[Answer, int]:
        """Return the answer under a fault, and how many requests the provider saw."""
        seen = self.provider.journal.seen
        with self.fault(place), Client(self.gateway.port) as client:
            answer = client.ask(post(path, body, self.gateway.key))
        return answer, self.provider.journal.seen - seen

    def metric(self, name: str) -> float:
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.gateway.admin_port}/metrics").read().decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


@pytest.fixture(scope="module", params=WAYS)
def bench(request, provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    directory = tmp_path_factory.mktemp(request.param)
    fault_file = directory / "fault"
    fault_file.write_text("")
    setup = Setup(
        way=request.param,
        preamble=Path(faults.__file__),
        environment={"TEST_FAULT_FILE": str(fault_file)},
        policies={"answers.yaml": ANSWER_POLICY},
    )
    with start_gateway(directory, provider.port, setup) as gateway:
        yield Bench(gateway, provider, fault_file)


ANSWER_POLICY = """
mpl_version: "1.0"
name: answers
rules:
  - name: none-of-that
    conditions: [{field: response.content, operator: contains, value: never-said}]
    actions: [{type: deny, message: not that}]
"""


def places(names: list[str], kinds: tuple[str, ...] = tuple(faults.KINDS)) -> list[str]:
    return [f"{where}:{name}:{kind}" for name in names for where in ("inside", "outside") for kind in kinds]


def test_the_list_of_hooks_is_not_empty():
    assert len(BEFORE) >= 8
    assert len(AFTER) >= 4


def test_before_commit_a_fault_is_a_refusal_and_the_provider_sees_nothing(bench: Bench):
    for place in places(BEFORE):
        for path, error in ((CHAT, "server_error"), ("/v1/messages", "overloaded_error")):
            answer, arrived = bench.ask(place, chat(), path)
            assert (answer.status, arrived) == (503, 0), place
            assert answer.json()["error"]["type"] == error, place


def test_in_absolute_form_a_fault_is_a_refusal_too(bench: Bench):
    raw = post(f"http://api.openai.com{CHAT}", chat(), Proxy_Authorization=bench.gateway.proxy_authorization())
    for place in places(BEFORE):
        seen = bench.provider.journal.seen
        with bench.fault(place), Client(bench.gateway.port) as client:
            assert client.ask(raw).status == 503, place
        assert bench.provider.journal.seen == seen, place


def test_a_fault_in_a_connect_is_a_refusal(bench: Bench):
    for place in places(CONNECT):
        with bench.fault(place), Client(bench.gateway.port) as client:
            authorization = bench.gateway.proxy_authorization()
            client.send(
                f"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\n"
                f"Proxy-Authorization: {authorization}\r\n\r\n".encode()
            )
            assert client.head()[0] == 503, place


def test_inside_a_tunnel_a_fault_is_a_refusal_too(bench: Bench):
    for place in places(BEFORE, ("exception", "cancelled")):
        seen = bench.provider.journal.seen
        with bench.gateway.connect("api.openai.com") as client, bench.fault(place):
            assert client.ask(post(CHAT, chat(), "own")).status == 503, place
        assert bench.provider.journal.seen == seen, place


@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
def test_after_commit_a_fault_is_an_error_settled_and_recorded_once(stream: bool, bench: Bench):
    for place in places(AFTER):
        answer, arrived = bench.ask(place, chat(stream=stream))
        assert arrived == 1, place
        if answer.status == 200:
            assert stream, place
            assert b'"error"' in answer.body.split(b"\n\n")[-2], place
            assert b"[DONE]" not in answer.body, place
        else:
            assert answer.status == 503, place
            assert answer.json()["error"]["code"] == "gateway_fault", place
        self_id = answer.headers["x-jupiter-evidence-id"]
        kinds = [leaf["kind"] for leaf in bench.gateway.leaves(call_id=self_id)]
        assert kinds == ["decision", "outcome"], place
    assert bench.metric("jupiter_reservations_open") == 0


def test_a_fault_in_the_relay_before_anything_has_gone_out_is_a_refusal(bench: Bench):
    # The answer policy holds streams back whole: the client can still be given a status.
    for method in faults.RELAY:
        for kind in faults.KINDS:
            for path in (CHAT, "/v1/messages"):
                place = f"relay:EventRelay.{method}:{kind}"
                answer, arrived = bench.ask(place, chat(stream=True), path)
                assert (answer.status, arrived) == (503, 1), place
                assert answer.json()["error"]["type"] in ("server_error", "overloaded_error"), place
                assert ends(bench, answer) == ["decision", "outcome"], place
    assert bench.metric("jupiter_reservations_open") == 0


def test_a_fault_in_the_relay_of_a_stream_that_runs_ends_it_with_an_error_event(provider, tmp_path: Path):
    fault_file = tmp_path / "fault"
    fault_file.write_text("")
    setup = Setup(preamble=Path(faults.__file__), environment={"TEST_FAULT_FILE": str(fault_file)})
    with start_gateway(tmp_path, provider.port, setup) as gateway:
        bench = Bench(gateway, provider, fault_file)
        for method in ("drain", "finish"):
            for kind in faults.KINDS:
                for path in (CHAT, "/v1/messages"):
                    place = f"relay:EventRelay.{method}:{kind}"
                    answer, arrived = bench.ask(place, chat(stream=True), path)
                    assert (answer.status, arrived) == (200, 1), place
                    assert b'"error"' in answer.body.split(b"\n\n")[-2], place
                    assert b"[DONE]" not in answer.body, place
                    assert b"message_stop" not in answer.body, place
                    assert ends(bench, answer) == ["decision", "outcome"], place
        assert bench.metric("jupiter_reservations_open") == 0


def ends(bench: Bench, answer: Answer) -> list[str]:
    """Return the kinds of an answer's leaves, but for those of further attempts."""
    leaves = bench.gateway.leaves(call_id=answer.headers["x-jupiter-evidence-id"])
    return [leaf["kind"] for leaf in leaves if leaf["kind"] != "attempt"]


def test_a_fault_while_a_broken_call_is_closed_loses_nothing(bench: Bench):
    for place in places(BROKEN):
        answer, _ = bench.ask(place, chat("[[close]]"))
        assert answer.status in (502, 503), place
        assert ends(bench, answer) == ["decision", "outcome"], place
    assert bench.metric("jupiter_reservations_open") == 0


def test_a_fault_in_observing_changes_nothing(bench: Bench):
    before = bench.metric("jupiter_faults_total")
    for place in places(WATCHED):
        if place.split(":")[1].endswith(".response"):
            answer, arrived = bench.ask(place, chat())
            assert (answer.status, arrived) == (200, 1), place
    assert bench.metric("jupiter_faults_total") > before


def test_no_fault_left_anything_open_or_unverified(bench: Bench):
    with Client(bench.gateway.port) as client:
        assert client.ask(post(CHAT, chat(), bench.gateway.key)).status == 200
        assert client.ask(get("/ready")).status == 200
    report = bench.gateway.report()
    assert report.findings == []
    assert wait_until(lambda: not bench.gateway.report().open_calls)
    assert bench.gateway.process.poll() is None


@pytest.mark.parametrize("way", ["mitmdump", "mitmweb"])
@pytest.mark.parametrize("what", ["deleted", "broken"])
def test_without_its_script_the_gate_stays_shut(what: str, way, provider: RehearsalThread, tmp_path: Path):
    with start_gateway(tmp_path, provider.port, Setup(way=way)) as gateway, Client(gateway.port) as client:
        assert client.ask(post(CHAT, chat(), gateway.key)).status == 200
        seen = provider.journal.seen
        entry = tmp_path / "entry.py"
        good = entry.read_text()
        if what == "deleted":
            entry.unlink()
        else:
            entry.write_text("this is not Python")
        assert wait_until(lambda: client.ask(post(CHAT, chat(), gateway.key)).status == 503)
        with Client(gateway.port) as other:
            other.send(
                f"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {gateway.proxy_authorization()}\r\n\r\n".encode()
            )
            assert other.head()[0] == 503
        calls = provider.journal.seen
        assert client.ask(post(CHAT, chat(), gateway.key)).status == 503
        assert provider.journal.seen == calls
        assert calls >= seen
        if what == "broken":
            entry.write_text(good)
            assert wait_until(lambda: client.ask(post(CHAT, chat(), gateway.key)).status == 200)
            assert gateway.report().findings == []
