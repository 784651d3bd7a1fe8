"""One connection for all calls: in order, bounded in time, and made anew when it is lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from jupiter_addons.addresses import RedisAddress
from jupiter_addons.errors import StoreError
from jupiter_addons.storage import redis_connection
from jupiter_addons.storage.redis_connection import RedisConnection, RefusedError

SLACK_S = 0.5
"""A busy machine is given so much more."""

type Answer = Callable[[list[bytes]], Coroutine[Any, Any, bytes]]


class Server:
    """Answers every command as the test says; None: not at all."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[list[bytes]] = []
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            while True:
                count = int((await reader.readline())[1:])
                words = []
                for _ in range(count):
                    size = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(size + 2))[:-2])
                self.asked.append(words)
                writer.write(await self.answer(words))
        except (ValueError, asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def serving(
    answer: Answer, *, is_connected: bool = True, **options: Any
) -> AsyncIterator[tuple[Server, RedisConnection]]:
    server = Server(answer)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    connection = RedisConnection(RedisAddress("127.0.0.1", port, 0, None, None, is_tls=False), **options)
    try:
        if is_connected:  # which a busy machine may take its time for
            await connection.connect()
        yield server, connection
    finally:
        connection.close()
        server.hang_up()
        listening.close()
        await asyncio.sleep(0.01)


async def echo(words: list[bytes]) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(words[-1]), words[-1])


async def ok(_words: list[bytes]) -> bytes:
    return b"+OK\r\n"


async def never(_words: list[bytes]) -> bytes:
    await asyncio.sleep(3600)
    return b""


def saying(text: bytes) -> Answer:
    async def say(_words: list[bytes]) -> bytes:
        return text

    return say


async def failing(connection: RedisConnection, match: str = "cannot be used|moment ago") -> float:
    """Return how long a call took that failed."""
    began = time.monotonic()
    with pytest.raises(StoreError, match=match):
        await connection.call("PING")
    return time.monotonic() - began


def test_many_calls_at_once_have_their_own_answers_over_one_connection():
    async def run() -> None:
        async with serving(echo) as (server, connection):
            await connection.call("ECHO", 0)
            answers = await asyncio.gather(*(connection.call("ECHO", n) for n in range(300)))
            assert answers == [str(n).encode() for n in range(300)]
            assert server.connections == 1

    asyncio.run(run())


def test_who_asks_and_goes_disturbs_nobodys_answer():
    async def slowly(words: list[bytes]) -> bytes:
        await asyncio.sleep(0.01)
        return await echo(words)

    async def run() -> None:
        async with serving(slowly) as (_, connection):
            await connection.call("ECHO", 0)
            gone = asyncio.ensure_future(connection.call("ECHO", 1))
            stays = asyncio.ensure_future(connection.call("ECHO", 2))
            await asyncio.sleep(0)
            gone.cancel()
            assert await stays == b"2"

    asyncio.run(run())


def test_the_greeting_comes_first_and_names_us():
    async def run() -> None:
        async with serving(ok, is_connected=False) as (server, connection):
            connection._where = RedisAddress("127.0.0.1", connection._where.port, 3, "me", "secret", is_tls=False)
            await connection.call("PING")
            assert server.asked == [[b"AUTH", b"me", b"secret"], [b"SELECT", b"3"], [b"PING"]]

    asyncio.run(run())


def test_a_greeting_that_fails_keeps_everybody_out():
    async def greet(connection: RedisConnection) -> None:
        await connection.ask("INFO")
        raise StoreError("too old")

    async def run() -> None:
        async with serving(ok, is_connected=False, greet=greet) as (server, connection):
            await failing(connection, "too old")
            await failing(connection, "a moment ago: too old")
            assert server.asked == [[b"INFO"]]

    asyncio.run(run())


def test_a_server_that_is_not_there_costs_a_moment_and_then_nothing():
    async def run() -> None:
        connection = RedisConnection(RedisAddress("127.0.0.1", 1, 0, None, None, is_tls=False))
        assert await failing(connection) < redis_connection.LIMIT_S + SLACK_S
        began = time.monotonic()
        for _ in range(100):
            await failing(connection, "a moment ago")
        assert time.monotonic() - began < SLACK_S
        connection.close()

    asyncio.run(run())


def test_a_server_that_hangs_costs_each_call_its_limit_once_and_recovers_by_itself():
    async def run() -> None:
        async with serving(ok) as (server, connection):
            await connection.call("PING")
            server.answer = never
            took = await asyncio.gather(*(failing(connection, "did not answer within 50 ms") for _ in range(50)))
            assert max(took) < redis_connection.LIMIT_S + SLACK_S
            assert await failing(connection, "a moment ago") < SLACK_S
            server.answer = ok
            await asyncio.sleep(redis_connection.PAUSE_S)
            assert await connection.call("PING") == b"OK"
            assert server.connections == 2

    asyncio.run(run())


def test_a_server_that_is_slow_is_left_alone_and_calls_do_not_pile_up():
    async def slow(words: list[bytes]) -> bytes:
        await asyncio.sleep(0.2)
        return await ok(words)

    async def run() -> None:
        async with serving(ok) as (server, connection):
            await connection.call("PING")
            server.answer = slow
            took = await asyncio.gather(*(failing(connection) for _ in range(200)))
            assert max(took) < redis_connection.LIMIT_S + SLACK_S

    asyncio.run(run())


def test_a_server_that_answers_steadily_may_take_longer_for_many():
    async def run() -> None:
        async def steady(words: list[bytes]) -> bytes:
            await asyncio.sleep(0.005)
            return await ok(words)

        async with serving(steady) as (_, connection):
            await asyncio.gather(*(connection.call("PING") for _ in range(12)))  # 60 ms in all

    asyncio.run(run())


def test_a_server_that_is_behind_is_asked_nothing_more_until_it_has_caught_up():
    async def run() -> None:
        async with serving(ok) as (server, connection):
            await connection.call("PING")

            async def trickling(words: list[bytes]) -> bytes:
                await asyncio.sleep(redis_connection.LIMIT_S * 0.4)
                return await ok(words)

            server.answer = trickling
            calls = [asyncio.ensure_future(connection.call("PING")) for _ in range(30)]
            await asyncio.sleep(redis_connection.LIMIT_S * 8)
            assert await failing(connection, "is behind by") < redis_connection.LIMIT_S
            await asyncio.gather(*calls)
            assert await connection.call("PING") == b"OK"

    asyncio.run(run())


def test_an_event_loop_that_is_kept_makes_no_server_late(monkeypatch):
    monkeypatch.setattr(redis_connection, "LIMIT_S", 0.25)  # the server here waits for the same event loop, and a core

    async def run() -> None:
        async with serving(ok) as (_, connection):
            await connection.call("PING")
            for _ in range(3):
                calls = [asyncio.ensure_future(connection.call("PING")) for _ in range(5)]
                await asyncio.sleep(0)
                time.sleep(redis_connection.LIMIT_S * 3)
                assert await asyncio.gather(*calls) == [b"OK"] * 5

    asyncio.run(run())


def test_a_connection_that_is_closed_fails_who_waits_and_is_made_anew():
    async def run() -> None:
        async with serving(ok) as (server, connection):
            await connection.call("PING")
            server.answer = never
            waiting = asyncio.ensure_future(failing(connection))
            await asyncio.sleep(0.01)
            server.hang_up()
            assert await waiting < SLACK_S
            server.answer = ok
            await asyncio.sleep(redis_connection.PAUSE_S)
            await connection.call("PING")

    asyncio.run(run())


@pytest.mark.parametrize("text", [b"-READONLY no\r\n", b"-LOADING soon\r\n"])
def test_a_server_that_is_not_the_one_to_ask_is_left(text: bytes):
    async def run() -> None:
        async with serving(ok) as (server, connection):
            await connection.call("PING")
            server.answer = saying(text)
            await failing(connection, text[1:5].decode())
            await failing(connection, "a moment ago")

    asyncio.run(run())


@pytest.mark.parametrize("text", [b"-OOM no memory\r\n", b"-BUSY a script runs\r\n", b"-ERR what\r\n"])
def test_an_answer_that_is_an_error_fails_its_call_alone(text: bytes):
    async def run() -> None:
        async with serving(saying(text)) as (server, connection):
            with pytest.raises(RefusedError, match=text[1:4].decode()) as caught:
                await connection.call("PING")
            assert caught.value.code == text[1:].split()[0].decode()
            server.answer = ok
            await connection.call("PING")
            assert server.connections == 1

    asyncio.run(run())


def test_what_is_no_redis_is_told_so():
    async def run() -> None:
        async with serving(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as (_, connection):
            await failing(connection, "protocol")

    asyncio.run(run())


def test_more_calls_than_can_wait_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(redis_connection, "MAX_WAITING", 3)

    async def run() -> None:
        async with serving(ok) as (server, connection):
            await connection.call("PING")
            server.answer = never
            outcomes = await asyncio.gather(*(connection.call("PING") for _ in range(5)), return_exceptions=True)
            assert sum("behind by 3 calls" in str(one) for one in outcomes) == 2

    asyncio.run(run())


def test_who_has_closed_it_is_told():
    async def run() -> None:
        async with serving(ok) as (_, connection):
            await connection.call("PING")
            connection.close()
            await failing(connection, "closed")

    asyncio.run(run())
