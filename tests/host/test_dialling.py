"""Which addresses are public, whatever form they come in, and which of several addresses a connection is made to."""

import asyncio
import ipaddress
import random
import time

import pytest
from host.seeds import fresh_seeds
from host.virtual import VirtualLoop, run

from jupiter_addons.host.dialling import FALL_BACK_S, dial, dial_public, in_time, is_public

PUBLIC = """
    8.8.8.8 1.1.1.1 172.15.255.255 172.32.0.1 192.167.255.255 100.63.255.255 100.128.0.1 169.253.1.1 223.255.255.254
    2606:4700:4700::1111 2a00:1450:4001::200e ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1
"""

NOT_PUBLIC = {
    "loopback": "127.0.0.1 127.8.9.10 127.255.255.255 ::1",
    "private": "10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 fc00::1 fd12:3456::1",
    "link-local, where clouds keep their metadata": "169.254.169.254 169.254.0.1 fe80::1 fe80::1%eth0 fe80::a9fe:a9fe%1",
    "site-local, deprecated": "fec0::1 feff::1",
    "carriers' NAT": "100.64.0.1 100.127.255.255",
    "nowhere": "0.0.0.0 0.1.2.3 ::",
    "broadcast and multicast": "255.255.255.255 224.0.0.1 239.255.255.250 ff02::1 ff0e::1",
    "reserved and for documents": "240.0.0.1 192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 2001:db8::1 100::1",
    "mapped (RFC 4291, 2.5.5.2)": "::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:7f00:1 ::ffff:0.0.0.0",
    "compatible (RFC 4291, 2.5.5.1)": "::127.0.0.1 ::10.0.0.1 ::a9fe:a9fe",
    "translated (RFC 2765, 2.1)": "::ffff:0:127.0.0.1 ::ffff:0:10.0.0.1",
    "NAT64 (RFC 6052)": "64:ff9b::7f00:1 64:ff9b::10.0.0.1 64:ff9b::a9fe:a9fe",
    "local NAT64 (RFC 8215)": "64:ff9b:1::7f00:1 64:ff9b:1::10.0.0.1",
    "local NAT64 by its first 48 bits": "64:ff9b:1:7f00:0:100:: 64:ff9b:1:a00:0:100:808:808",
    "6to4 (RFC 3056)": "2002:7f00:1::1 2002:a00:1:: 2002:a9fe:a9fe::1 2002:c0a8:101::808:808",
    "Teredo (RFC 4380)": "2001:0:7f00:1::1 2001::1",
}


@pytest.mark.parametrize("address", PUBLIC.split())
def test_addresses_of_the_public_internet_are_public(address: str):
    assert is_public(address)


@pytest.mark.parametrize("kind", NOT_PUBLIC)
def test_no_other_address_is_public_in_any_form(kind: str):
    assert [address for address in NOT_PUBLIC[kind].split() if is_public(address)] == []


def test_wrapping_an_ipv4_address_changes_nothing():
    for seed in fresh_seeds(2000):
        inner = ipaddress.IPv4Address(random.Random(seed).randrange(1 << 32))
        wrapped = (
            ipaddress.IPv6Address((0xFFFF << 32) | int(inner)),
            ipaddress.IPv6Address((0x0064FF9B << 96) | int(inner)),
            ipaddress.IPv6Address((0x2002 << 112) | (int(inner) << 80) | 1),
        )
        assert {is_public(str(outer)) for outer in wrapped} == {is_public(str(inner))}, inner


# -- blind tunnels ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["0x7f000001", "2130706433", "0177.0.0.1", "127.1", "0x7f.1", "127.0.0.1", "localhost", "::ffff:127.0.0.1", "0"],
)
def test_however_the_loopback_address_is_written_no_tunnel_leads_there(host: str):
    """Resolved by the real resolver, which knows these forms."""
    with pytest.raises(OSError):
        asyncio.run(dial_public((host, 9), private=False))


def tunnel(addresses: list[str], *, private: bool = False) -> list[str]:
    async def main(loop: VirtualLoop) -> list[str]:
        loop.names["name.test"] = addresses
        loop.routes = dict.fromkeys(addresses, (0.0, None))
        try:
            await dial_public(("name.test", 443), private=private)
        finally:
            tried.extend(host for host, _ in loop.tried)
        return tried

    tried: list[str] = []
    try:
        return run(main)
    except OSError:
        assert tried == []
        raise


def test_a_tunnel_is_made_to_the_address_that_was_checked_and_not_to_the_name():
    assert tunnel(["8.8.8.8"]) == ["8.8.8.8"]


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1", "8.8.8.8"], ["169.254.169.254"]])
def test_one_address_that_is_not_public_is_enough_to_refuse_a_name(addresses: list[str]):
    with pytest.raises(OSError, match="not public"):
        tunnel(addresses)


def test_an_operator_can_allow_tunnels_to_private_addresses():
    assert tunnel(["10.0.0.1"], private=True) == ["10.0.0.1"]


@pytest.mark.parametrize("host", ["nowhere.test", "a" * 64 + ".test", "a..test", "\udcff.test"])
def test_a_name_that_cannot_be_resolved_is_an_os_error(host: str):
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.getaddrinfo = resolve  # type: ignore[method-assign]
        await dial_public((host, 443), private=False)

    async def resolve(host: str, port: int, **_: object) -> list[object]:
        host.encode("idna")  # what the real one does first
        raise OSError("Name or service not known")

    with pytest.raises(OSError):
        asyncio.run(main())


# -- several addresses ---------------------------------------------------------------------------------------------------


class Place:
    """Counts how often a place among the connections was given back."""

    def __init__(self) -> None:
        self.freed = 0

    def free(self) -> None:
        self.freed += 1


type Dialled = tuple[str, list[tuple[str, float]], int]


def dialled(
    routes: dict[str, tuple[float, str | None]], *, eager: bool, rounds: dict[str, int] | None = None
) -> Dialled:
    """Dial a name with these addresses; return which one it was, which were tried and when, and the place's state."""

    async def main(loop: VirtualLoop) -> Dialled:
        loop.names["name.test"], loop.routes, loop.rounds = list(routes), routes, rounds or {}
        place = Place()
        wire = await dial(("name.test", 443), place.free)
        await asyncio.sleep(100)
        chosen = next(host for host, transport in loop.transports.items() if transport is wire.transport)
        left_open = [host for host, transport in loop.transports.items() if not transport.closing]
        assert left_open == [chosen], f"left open: {left_open}"
        return chosen, [(host, round(at, 2)) for host, at in loop.tried], place.freed

    return run(main, eager=eager)


EAGER = pytest.mark.parametrize("eager", [False, True], ids=["lazy tasks", "eager tasks"])
REFUSED, NEVER = (0.0, "refused"), (1e6, "timed out")


@EAGER
def test_the_first_address_that_answers_at_once_is_the_only_one_tried(eager: bool):
    assert dialled({"::a": (0.01, None), "1.2.3.4": (0.0, None)}, eager=eager) == ("::a", [("::a", 0)], 0)


@EAGER
def test_an_address_that_fails_is_followed_by_the_next_without_delay(eager: bool):
    assert dialled({"::a": REFUSED, "1.2.3.4": (0.0, None)}, eager=eager) == (
        "1.2.3.4",
        [("::a", 0), ("1.2.3.4", 0)],
        0,
    )


@EAGER
def test_an_address_that_does_not_answer_is_joined_by_the_next_after_a_moment(eager: bool):
    found = dialled({"::a": NEVER, "1.2.3.4": (0.01, None)}, eager=eager)
    assert found == ("1.2.3.4", [("::a", 0), ("1.2.3.4", FALL_BACK_S)], 0)


@EAGER
def test_a_slow_address_still_wins_if_the_others_are_slower(eager: bool):
    chosen, tried, freed = dialled({"::a": (0.4, None), "::b": (5.0, None), "::c": NEVER}, eager=eager)
    assert (chosen, [host for host, _ in tried], freed) == ("::a", ["::a", "::b"], 0)


@EAGER
@pytest.mark.parametrize("later", range(-3, 6))
def test_of_two_that_stand_at_the_same_moment_one_is_closed_and_the_place_is_kept(later: int, eager: bool):
    """`later` is by how many rounds of the event loop; the place is that of the connection that is used."""
    routes = {"::a": (FALL_BACK_S + 0.1, None), "::b": (0.1, None)}
    rounds = {"::a": max(0, -later), "::b": max(0, later)}
    chosen, _, freed = dialled(routes, eager=eager, rounds=rounds)
    assert chosen in routes and freed == 0


@EAGER
def test_when_no_address_answers_the_last_failure_is_told_and_the_place_given_back(eager: bool):
    async def main(loop: VirtualLoop) -> int:
        loop.names["name.test"], loop.routes = ["::a", "::b"], {"::a": REFUSED, "::b": (1.0, "unreachable")}
        place = Place()
        with pytest.raises(OSError, match="unreachable"):
            await dial(("name.test", 443), place.free)
        return place.freed

    assert run(main, eager=eager) == 1


@EAGER
def test_dialling_that_is_given_up_leaves_nothing_behind(eager: bool):
    async def main(loop: VirtualLoop) -> tuple[int, int]:
        loop.names["name.test"], loop.routes = ["::a", "::b"], {"::a": (10.0, None), "::b": (10.0, None)}
        place = Place()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await dial(("name.test", 443), place.free)
        await asyncio.sleep(100)
        return place.freed, len([transport for transport in loop.transports.values() if not transport.closing])

    assert run(main, eager=eager) == (1, 0)


def test_the_place_is_given_back_when_the_connection_closes():
    async def main(loop: VirtualLoop) -> list[int]:
        loop.routes = {"192.0.2.1": (0.0, None)}
        place = Place()
        wire = await dial(("192.0.2.1", 443), place.free)
        before = place.freed
        wire.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return [before, place.freed]

    assert run(main) == [0, 1]


def test_a_configured_address_is_not_resolved():
    async def main(loop: VirtualLoop) -> list[str]:
        loop.routes = {"192.0.2.1": (0.0, None), "::1": (0.0, None)}
        await dial(("192.0.2.1", 443), Place().free)
        await dial(("::1", 443), Place().free)
        return [host for host, _ in loop.tried]

    assert run(main) == ["192.0.2.1", "::1"]


def test_a_connection_that_stood_in_time_is_not_late_because_the_event_loop_was():
    """Or all calls of a busy moment would fail at once, with a provider that is well."""

    async def run() -> list[object]:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        address = server.sockets[0].getsockname()[:2]
        dials = [asyncio.ensure_future(in_time(0.2, dial(address, lambda: None))) for _ in range(9)]
        for _ in range(3):
            await asyncio.sleep(0)
        for _ in range(4):
            time.sleep(0.15)
            await asyncio.sleep(0)
        found = await asyncio.gather(*dials, return_exceptions=True)
        for wire in found:
            if not isinstance(wire, BaseException):
                wire.abort()
        server.close()
        return found

    assert [one for one in asyncio.run(run()) if isinstance(one, BaseException)] == []


def test_what_takes_too_long_is_given_up_and_undone():
    undone = []

    async def never() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            undone.append(True)

    async def run() -> float:
        began_s = time.monotonic()
        with pytest.raises(TimeoutError):
            await in_time(0.05, never())
        took_s = time.monotonic() - began_s
        await asyncio.sleep(0)
        return took_s

    assert 0.05 <= asyncio.run(run()) < 5
    assert undone == [True]
