"""RE: what a client can use up, and what others notice of it.

Numbers are those of the catalogue; deadlines are configured shorter, so that nobody has to wait for them.
This file is long because every row of the group is here, each with the clients it needs.
"""

import contextlib
import json
import os
import resource
import time
from collections.abc import Callable

from support.gateway import Gateway
from support.h2_client import H2Client
from support.wire import Client, chat, get, post, wait_until

from jupiter_addons.rehearsal.server import RehearsalThread
from ordeal import floods
from ordeal.crowd import Bystander, Crowd, SlowStream, need_files
from ordeal.load import Load, Meter
from ordeal.provider import Call, Out, Provider
from ordeal.stage import Stage, metric
from ordeal.suite import row

KEY = "provider-key"
LEAK_REQUESTS = int(os.environ.get("ORDEAL_REQUESTS", "30000"))
"""How many requests RE-10 sends, and a fifteenth as many streams that it aborts; fewer for a quick look."""


def a_call(gateway: Gateway, text: str = "hello", **fields: object) -> bytes:
    return post("/v1/chat/completions", chat(text, **fields), gateway.key)


def serves(gateway: Gateway) -> bool:
    """Whether a new client gets a governed answer."""
    with contextlib.suppress(OSError), Client(gateway.port) as client:
        return client.ask(a_call(gateway)).status == 200
    return False


# -- slow clients ---------------------------------------------------------------------------------------------------------


@row("RE-01", "request heads that come a byte a second", defence="header_deadline")
def slow_headers(stage: Stage) -> None:
    limit_s = 3.0
    need_files(2048)
    with RehearsalThread(api_key=KEY) as provider:
        gateway = stage.gateway(provider.port, proxy={"limits": {"header_timeout": f"{limit_s}s"}})
        used = [Client(gateway.port) for _ in range(50)]
        for client in used:
            assert client.ask(get("/health")).status == 200
        in_tunnels = [gateway.connect("api.openai.com") for _ in range(20)]
        bystander = Bystander(gateway.port, get("/v1/models", gateway.key))
        with Crowd.of(gateway.port, 50) as silent, Crowd.of(gateway.port, 250) as slow:
            slow.add(client.socket for client in [*used, *in_tunnels])
            slow.send(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Slow: ")

            def meanwhile() -> None:
                silent.read()
                bystander()

            slow.trickle(b"a", 1.0, limit_s + 5, meanwhile)
            wait_until(lambda: silent.read() or silent.alive == 0, 3)
            assert slow.alive == 0, f"{slow.alive} of {len(slow.members)} that trickle were not cut"
            assert silent.alive == 0, f"{silent.alive} of {len(silent.members)} that say nothing were not cut"
            soonest = min(member.lasted_s or 0.0 for member in slow.members)
            assert soonest > limit_s * 0.8, f"one was cut after {soonest:.1f} s"
        bystander.close()
        stage.note("others_worst_ms", bystander.worst_ms)
        assert bystander.worst_ms < 1000, f"another client waited {bystander.worst_ms} ms"


@row("RE-02", "request bodies that come too slowly", defence="body_rate")
def slow_body(stage: Stage) -> None:
    limit_s = 2.0
    with RehearsalThread(api_key=KEY) as provider:
        gateway = stage.gateway(provider.port, proxy={"limits": {"header_timeout": f"{limit_s}s", "body_rate": 1024}})
        head = post("/v1/chat/completions", b"", gateway.key)
        steady = json.dumps(chat("x" * 24_000)).encode()
        left = [steady[start : start + 1000] for start in range(0, len(steady), 1000)]
        slow = SlowStream(H2Client.through_tunnel(gateway), "/v1/chat/completions")
        with Client(gateway.port) as client, Crowd.of(gateway.port, 40) as plain, Crowd.of(gateway.port, 10) as chunked:
            client.send(head.replace(b"Content-Length: 0", b"Content-Length: %d" % len(steady)))
            plain.send(head.replace(b"Content-Length: 0", b"Content-Length: 100000"))
            chunked.send(head.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
            end = time.monotonic() + limit_s + 5
            while time.monotonic() < end and (plain.alive or chunked.alive or not slow.over):
                plain.send(b"x" * 50)  # 200 bytes a second
                chunked.send(b"32\r\n" + b"x" * 50 + b"\r\n")
                slow.more(b"x" * 50, 0.25)
                if left:
                    client.send(left.pop(0))  # 4000 bytes a second, for six seconds
                plain.read()
                chunked.read()
            for crowd, name in ((plain, "declared"), (chunked, "chunked")):
                assert crowd.alive == 0, f"{crowd.alive} of {len(crowd.members)} slow bodies, {name}, were not cut"
                wrong = {member.status for member in crowd.members} - {408, 0}
                assert not wrong, f"slow bodies, {name}, were answered {wrong}"
            assert slow.over, "a slow body over HTTP/2 was not cut"
            assert slow.status in (408, 0), f"a slow body over HTTP/2 was answered {slow.status}"
            client.send(b"".join(left))
            answer = client.answer()
        assert answer.status == 200, f"a body that comes fast enough was answered {answer.status}"
        assert provider.journal.seen == 1


@row("RE-03", "answers that nobody reads", defence="write_deadline")
def slow_read(stage: Stage) -> None:
    limit_s, piece = 2.0, "y" * 16_000

    async def endless(call: Call, out: Out) -> None:
        """160 MB, as fast as they are taken; or 8 MB of JSON."""
        if not json.loads(call.body).get("stream"):
            await out.answer(200, {"choices": [], "x_padding": "z" * 8_000_000})
            return
        chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": piece}}]}
        for _ in range(10_000):
            await out.event(json.dumps(chunk))
            await out.sleep(0)  # others want to be answered too

    with Provider(script=endless) as provider:
        gateway = stage.gateway(provider.port, proxy={"write_timeout": f"{limit_s}s"})
        meter = Meter(gateway.process.pid)
        before_mb = meter.rss_mb()
        with contextlib.ExitStack() as stack:
            unread = [stack.enter_context(Client(gateway.port)) for _ in range(6)]
            for client in unread[:4]:
                client.send(a_call(gateway, stream=True))
            for client in unread[4:]:
                client.send(a_call(gateway))
            steady = stack.enter_context(Client(gateway.port))
            steady.send(a_call(gateway, stream=True))
            quiet, pinging = (stack.enter_context(H2Client.through_tunnel(gateway)) for _ in range(2))
            for two in (quiet, pinging):  # neither ever raises its windows
                two.post("/v1/chat/completions", chat(stream=True))
            end, most_mb = time.monotonic() + limit_s + 8, 0.0
            while time.monotonic() < end:
                assert steady.socket.recv(20_000), "a client that reads slowly was cut"
                with contextlib.suppress(OSError):
                    pinging.h2.ping(b"ordeal..")
                    pinging.socket.sendall(pinging.h2.data_to_send())
                most_mb = max(most_mb, meter.rss_mb() - before_mb)
                time.sleep(0.1)
            stage.note("grown_mb", round(most_mb, 1))
            others = Bystander(gateway.port, get("/v1/models", gateway.key))
            others()
            others.close()
            assert wait_until(lambda: metric(gateway, "jupiter_connections") <= 1, 2), (
                f"{metric(gateway, 'jupiter_connections'):.0f} connections are left where one is still read"
            )
        assert wait_until(lambda: all(call.done for call in provider.calls), 10), "a provider is still being read"
        assert most_mb < 100, f"what nobody read took {most_mb:.0f} MB"


# -- connections ----------------------------------------------------------------------------------------------------------


@row("RE-04", "five thousand idle connections", defence="connection_caps")
def idle_connections(stage: Stage) -> None:
    most, from_one = 700, 400
    need_files(8192)
    with RehearsalThread(api_key=KEY) as provider:
        gateway = stage.gateway(
            provider.port,
            proxy={
                "max_connections": most,
                "max_connections_per_address": from_one,
                "limits": {"header_timeout": "20s"},
            },
        )
        bystander = Bystander(gateway.port, a_call(gateway))
        with bystander.meanwhile(), Crowd.of(gateway.port, 5000, "127.0.0.2") as crowd:
            wait_until(lambda: crowd.read() or crowd.alive <= from_one, 15)
            assert crowd.alive == from_one, f"{crowd.alive} connections from one address where {from_one} are allowed"
            turned_away = [member.status for member in crowd.members if member.lasted_s is not None]
            assert turned_away.count(503) > 0.9 * len(turned_away), f"only {turned_away.count(503)} were told why"
            assert serves(gateway), "a new client from another address is not served"
            with Crowd.of(gateway.port, 1000, "127.0.0.3") as more:
                wait_until(lambda: more.read() or crowd.alive + more.alive <= most, 10)
                held = metric(gateway, "jupiter_connections")
                assert held <= most, f"{held:.0f} connections where {most} are allowed"
        assert wait_until(lambda: serves(gateway), 10), "no new client is served after they are gone"
        stage.note("others_worst_ms", bystander.worst_ms)
        assert bystander.worst_ms < 500, f"a client that was there before waited {bystander.worst_ms} ms"


@row("RE-05", "no more files", defence="accept_pause")
def no_files(stage: Stage) -> None:
    with RehearsalThread(api_key=KEY) as provider, stage.own_gateway(provider.port) as gateway:
        pid = gateway.process.pid
        bystander = Bystander(gateway.port, get("/v1/models", gateway.key))
        assert serves(gateway)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (128, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))
        lines = gateway.log.count("\n")
        with Crowd.of(gateway.port, 300):
            time.sleep(1)
            meter = Meter(pid)
            before_s = meter.cpu_s()
            for _ in range(6):
                bystander()
                time.sleep(0.5)
            spun_s = meter.cpu_s() - before_s
        stage.note("cpu_s_of_3", round(spun_s, 2))
        assert wait_until(lambda: serves(gateway), 15), "no new client is served after files are free again"
        bystander.close()
        written = gateway.log.count("\n") - lines
        stage.note("log_lines", written)
        assert spun_s < 1.0, f"{spun_s:.2f} s of CPU in three seconds in which nothing could be accepted"
        assert 1 <= written < 60, f"{written} log lines about it"


# -- floods over HTTP/2 ---------------------------------------------------------------------------------------------------


def attack(stage: Stage, gateway: Gateway, name: str, raw: bytes, most_ms: float | None = None) -> floods.Outcome:
    """Flood while another client goes on; check that the flood is ended, and that it costs us no multiple of what it costs.

    With `most_ms`, the other client must never wait longer; a machine that others use as well gets ten tries.
    """
    for tries_left in reversed(range(10)):
        bystander = Bystander(gateway.port, get("/v1/models", gateway.key))
        with bystander.meanwhile():
            outcome = floods.flood(gateway, raw)
        assert outcome.closed, f"{name}: {outcome.sent_bytes} bytes were taken and the connection is still open"
        ratio = outcome.gateway_cpu_s / max(outcome.client_cpu_s, 0.001)
        assert ratio < 100, f"{name}: {ratio:.0f} times the client's CPU ({outcome.gateway_cpu_s:.2f} s)"
        if most_ms is None or not tries_left or bystander.worst_ms < most_ms:
            break
    stage.note(f"{name}_others_worst_ms", bystander.worst_ms)
    assert most_ms is None or bystander.worst_ms < most_ms, f"{name}: another client waited {bystander.worst_ms} ms"
    return outcome


@row("RE-06", "HTTP/2 rapid reset", defence="http2_budget", short=True)
def rapid_reset(stage: Stage) -> None:
    with RehearsalThread(api_key=KEY) as provider:
        gateway = stage.gateway(provider.port)
        outcome = attack(stage, gateway, "resets", floods.rapid_resets(20_000), most_ms=100)
        assert outcome.goaway is not None, "the connection was ended without GOAWAY"
        stage.note("requests_taken", outcome.requests_taken)
        assert (outcome.requests_taken or 0) <= 500, f"{outcome.requests_taken} resets were taken"
        assert provider.journal.seen == 0
        with H2Client.through_tunnel(gateway) as honest:
            for number in range(200):
                stream = honest.post("/v1/chat/completions", chat())
                if number % 10 == 0:
                    honest.cancel(stream)
                else:
                    assert honest.answer(stream).status == 200


@row("RE-07", "floods of HTTP/2 frames that ask for nothing", defence="http2_budget")
def frame_floods(stage: Stage) -> None:
    attacks: dict[str, Callable[[int], bytes]] = {
        "continuations": floods.continuations,
        "empty_continuations": floods.empty_continuations,
        "pings": floods.pings,
        "settings": floods.settings,
        "empty_data": floods.empty_data,
        "window_overflows": floods.overflowing_windows,
        "data_after_the_end": floods.data_after_the_end,
    }
    with RehearsalThread(api_key=KEY) as provider:
        gateway = stage.gateway(provider.port)
        for name, make in attacks.items():
            outcome = attack(stage, gateway, name, make(20_000))
            taken = outcome.requests_taken
            assert taken is None or taken <= 500, f"{name}: {taken} requests were taken"
        assert provider.journal.seen == 0
        assert serves(gateway)


@row("RE-08", "an HPACK bomb", defence="decoded_header_limit", short=True)
def header_bomb(stage: Stage) -> None:
    with RehearsalThread(api_key=KEY) as provider:
        gateway = stage.gateway(provider.port)
        meter = Meter(gateway.process.pid)
        within = floods.flood(gateway, floods.header_bomb(4000, 15), answers=1)
        assert within.statuses == {1: 200}, f"60 kB of headers were answered {within.statuses}"
        before_mb = meter.rss_mb()
        for repeats in (17, 16_000):  # 68 kB and 64 MB
            outcome = floods.flood(gateway, floods.header_bomb(4000, repeats), answers=1)
            assert outcome.closed or set(outcome.statuses.values()) == {431}, f"{repeats} times 4 kB were let in"
            assert set(outcome.statuses.values()) <= {431}, f"answered {outcome.statuses}"
        grown_mb = meter.rss_mb() - before_mb
        assert grown_mb < 6.5, f"the bomb took {grown_mb:.0f} MB, a hundred times the limit"
        assert provider.journal.seen == 0
        assert serves(gateway)


# -- memory, and what is left behind --------------------------------------------------------------------------------------


@row("RE-09", "two hundred bodies of 8 MB at once", defence="buffered_bytes")
def large_bodies(stage: Stage) -> None:
    with (
        RehearsalThread(api_key=KEY) as provider,
        stage.own_gateway(provider.port, proxy={"limits": {"buffered": "64MiB"}}) as gateway,
    ):
        meter = Meter(gateway.process.pid)
        assert serves(gateway)
        load = Load(gateway.port, [a_call(gateway, "x" * 8_000_000)], requests=200, connections=200)
        found = load.result()
        stage.note("answers", found.statuses())
        stage.note("peak_mb", round(meter.peak_mb()))
        assert meter.peak_mb() < 300, f"{meter.peak_mb():.0f} MB at the most, where 300 are there"
        assert found.unanswered == 0, f"{found.unanswered} got no answer"
        assert len(found.answered(200)) >= 4, f"only {len(found.answered(200))} were served: {found.statuses()}"
        assert len(found.answered(200, 503)) == 200, f"answered {found.statuses()}"
        assert all(answer.advised for answer in found.answered(503)), "a 503 does not say when to try again"
        assert wait_until(lambda: serves(gateway), 10), "nobody is served afterwards"


@row("RE-10", "thirty thousand requests and two thousand streams aborted", defence="forgotten_clocks")
def leak(stage: Stage, requests: int = LEAK_REQUESTS) -> None:
    rounds = 15
    with RehearsalThread(api_key=KEY) as provider, stage.own_gateway(provider.port) as gateway:
        meter = Meter(gateway.process.pid)

        def one_round() -> None:
            load = Load(gateway.port, [a_call(gateway)], requests=requests // rounds, connections=8)
            for _ in range(requests // 15 // rounds):
                with Client(gateway.port) as client:
                    client.send(a_call(gateway, "[[events=200]] [[gap_ms=10]]", stream=True))
                    client.head()
            found = load.result()
            assert found.statuses() == {200: requests // rounds}, f"answered {found.statuses()}"

        for _ in range(4):
            one_round()
        files, tasks = settled(gateway, meter)
        memory = []
        for _ in range(rounds):
            one_round()
            memory.append(meter.rss_mb())
        slope = slope_of(memory) * rounds / requests * 10_000
        stage.note("mb_per_10k", round(slope, 2))
        stage.note("rss_mb", [round(memory[0]), round(memory[-1])])
        then_files, then_tasks = settled(gateway, meter)
        stage.note("files", [files, then_files])
        stage.note("tasks", [tasks, then_tasks])
        assert slope < 1.0, f"{slope:.2f} MB more for every 10,000 requests"
        assert metric(gateway, "jupiter_connections") == 0
        assert metric(gateway, "jupiter_in_flight") == 0
        # An aborted stream's upstream connection is closed, others are pooled: their number is the load's, not time's.
        assert then_files <= files + 16, f"{then_files} open files where there were {files}"
        assert 0 < then_tasks <= tasks + 2, f"{then_tasks} tasks where there were {tasks}"


def settled(gateway: Gateway, meter: Meter) -> tuple[int, int]:
    """Return how many files and tasks a gateway has that has nothing to do."""
    assert wait_until(lambda: metric(gateway, "jupiter_connections") == 0, 15), "connections are left"
    time.sleep(1.5)  # once round of what is tended each second
    return meter.open_files(), int(metric(gateway, "jupiter_tasks"))


def slope_of(values: list[float]) -> float:
    """Return the slope of the line through equally spaced values that fits best."""
    middle = (len(values) - 1) / 2
    mean = sum(values) / len(values)
    spread = sum((number - middle) ** 2 for number in range(len(values)))
    return sum((number - middle) * (value - mean) for number, value in enumerate(values)) / spread


@row("RE-11", "a thousand errors a second", defence="log_sampling")
def log_flood(stage: Stage) -> None:
    seconds, rate = 4.0, 1000.0
    with RehearsalThread(api_key=KEY) as provider, stage.own_gateway(provider.port) as gateway:
        with Client(gateway.port) as client:
            assert client.ask(a_call(gateway)).status == 200
        kinds = {
            "unknown keys": post("/v1/chat/completions", chat(), "jup_nobody_" + "x" * 43),
            "broken heads": b"GET /v1/models HTTP/1.1\r\nbroken\r\n\r\n",
            "failing providers": a_call(gateway, "[[status=500]]"),
        }
        wrong = []
        for name, raw in kinds.items():
            lines, size = gateway.log.count("\n"), len(gateway.log)
            found = Load(gateway.port, [raw], rate=rate, seconds=seconds, connections=1000).result()
            time.sleep(1)  # a summary may come a second later
            written, grown = gateway.log.count("\n") - lines, len(gateway.log) - size
            stage.note(name.replace(" ", "_"), {"errors": found.sent, "lines": written, "bytes": grown})
            assert not [answer for answer in found.answers if 0 < answer.status < 400], f"answered {found.statuses()}"
            if written > 50 * (found.seconds + 1):
                wrong.append(f"{name}: {found.sent} errors wrote {written} lines")
            elif not written and name != "broken heads":  # those are in the evidence, counted by address and second
                wrong.append(f"{name}: nobody who reads the log would know")
        assert not wrong, "; ".join(wrong)
