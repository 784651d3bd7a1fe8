"""Making a connection: to a provider that the configuration names, or blindly to wherever a tunnel leads.

A tunnel's target is a name that the client chose.  It is resolved here, once, and every address it resolves to has to be
public; the connection is made to those addresses and not to the name, which could resolve differently a moment later.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from jupiter_addons.host.pool import UpstreamWire
from jupiter_addons.host.wire import Wire

AGAIN_S, ROUNDS = 0.005, 6
"""How long, and how often, the event loop looks again before it is believed that nothing stands: from the kernel's word to
the end of a dial it has to go round so often."""
FALL_BACK_S = 0.25
"""When another address of a name is tried beside one that does not answer (RFC 8305, section 5)."""

_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""What of IPv6 has been handed out (RFC 4291, section 2.4); everything else is local, reserved or a wrapping."""
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""NAT64 (RFC 6052): an IPv4 address in the last 32 bits.  Python calls every one of these global."""
_RELAYED = ipaddress.ip_network("2002::/16")
"""6to4 (RFC 3056): an IPv4 address in bits 16 to 48."""


async def in_time[T](seconds: float, making: Coroutine[Any, Any, T]) -> T:
    """Return what is being made, if that takes no longer than so many seconds.  Raises TimeoutError.

    An event loop that was kept by something else finds its timers due before it has seen what stood long ago: so it goes round
    a few times more before that is believed.
    """
    task = asyncio.ensure_future(making)
    try:
        for wait_s in (seconds, *(AGAIN_S,) * ROUNDS):
            if (await asyncio.wait((task,), timeout=wait_s))[0]:
                return task.result()
        raise TimeoutError
    except BaseException:
        task.add_done_callback(_drop_late)
        task.cancel()
        raise


async def dial(address: tuple[str, int], freed: Callable[[], None]) -> Wire:
    """Return a connection to a configured address; `freed` is called once when it is closed, or cannot be made."""
    host, port = address
    try:
        hosts = [host] if _is_literal(host) else await resolve(host, port)
        wire = await _first_of(hosts, port, UpstreamWire)
        wire.tie(freed)
        return wire
    except BaseException:
        freed()
        raise


async def dial_public(address: tuple[str, int], *, private: bool) -> Wire:
    """Return a connection to where a blind tunnel leads.  Raises OSError if an address is not public, unless `private`."""
    hosts = await resolve(*address)
    if not private and not all(map(is_public, hosts)):
        raise OSError("the address is not public")
    return await _first_of(hosts, address[1], Wire)


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a name, best first, each once.  Raises OSError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError("the name is not valid") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def _first_of[W: Wire](hosts: Sequence[str], port: int, make: Callable[[], W]) -> W:
    """Return the first connection that stands, trying the next address when one fails or is slow (RFC 8305, section 5).

    Our own, because asyncio's does not work with eager tasks in every supported Python.
    """
    if len(hosts) == 1:
        return await _connect(hosts[0], port, make)
    running: set[asyncio.Task[W]] = set()
    waiting, failure = list(hosts), OSError("the name has no address")
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.ensure_future(_connect(waiting.pop(0), port, make)))
            done, running = await asyncio.wait(
                running, timeout=FALL_BACK_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            stand = [task.result() for task in done if task.exception() is None]
            for wire in stand[1:]:  # at the same moment
                wire.abort()
            if stand:
                return stand[0]
            for error in filter(None, (task.exception() for task in done)):
                failure = error if isinstance(error, OSError) else OSError(str(error))
        raise failure
    finally:
        for task in running:
            task.add_done_callback(_drop_late)
            task.cancel()


def _drop_late(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().abort()


async def _connect[W: Wire](host: str, port: int, make: Callable[[], W]) -> W:
    _, wire = await asyncio.get_running_loop().create_connection(make, host, port)
    return wire


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_local(address: str) -> bool:
    """Whether a connection to this address ends on this machine: one of its own addresses, however it is written."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    if inner is not None:
        return is_local(str(inner))
    if ip.is_loopback or ip.is_unspecified:
        return True
    with socket.socket(socket.AF_INET6 if ip.version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(ip), 0))  # the kernel gives away its own addresses only
        except OSError:
            return False
    return True


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, whatever form it is written or wrapped in."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped
        if inner is None and ip in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is None and ip in _RELAYED:
            inner = ipaddress.IPv4Address(int(ip) >> 80 & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip not in _GLOBAL_UNICAST:
            return False
    return ip.is_global and not ip.is_multicast
