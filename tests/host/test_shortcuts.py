"""What is done faster than stock gives what stock gives: header lookups, messages without type checks, and what is left alone.

Stock is a copy of `mitmproxy.http`, loaded again under another name, that nobody has put anything into.
"""

import gc
import importlib.util
import subprocess
import sys
from types import ModuleType

import pytest
from host.seeds import fresh_seeds, seeded
from mitmproxy import http

from jupiter_addons.host import shortcuts
from jupiter_addons.host.state import Speed

OFF = Speed(fast_headers=False, unchecked_types=False, tuned_collector=False)


def stock_http() -> ModuleType:
    """Return `mitmproxy.http` as it is installed, whatever has been assigned to it in this process."""
    assert http.__file__
    spec = importlib.util.spec_from_file_location("stock_http", http.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["stock_http"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


STOCK = stock_http()


class Fast(STOCK.Headers):
    """Stock headers with the shortcuts, in a class of their own."""

    get_all, get, __contains__ = shortcuts.get_all, shortcuts.get, shortcuts.contains


def outcome(function, *arguments: object) -> object:
    """Return what comes of a call: a value, or the kind of the exception."""
    try:
        return function(*arguments)
    except Exception as error:  # noqa: BLE001 - whatever stock raises, we raise
        return type(error)


NAMES = [b"Host", b"host", b"HOST", b"Content-Type", b"X-\xc3\xa9", b"x-\xc3\x89", b"\xff", b"", b"X_Y", b"x-y", b"X-Y"]
VALUES = [b"", b"a", b"a, b", b"\xc3\xa9", b"\xff\xfe", b"K\xc3\xb6ln", b" spaced ", b"\xe2\x82\xac", b"a" * 300]
ASKED = [name.decode("utf-8", "surrogateescape") for name in NAMES] + ["missing", "É", "K", "\u212a", "ﬀ", "\udcff"]


def test_header_lookups_give_what_stock_gives():
    for seed in fresh_seeds(3000):
        with seeded(seed) as dice:
            fields = tuple((dice.choice(NAMES), dice.choice(VALUES)) for _ in range(dice.randrange(8)))
            stock, fast = STOCK.Headers(fields), Fast(fields)
            for name in (dice.choice(ASKED), dice.choice(NAMES), dice.choice(ASKED).swapcase()):
                assert outcome(fast.get_all, name) == outcome(stock.get_all, name), (fields, name)
                assert outcome(fast.get, name) == outcome(stock.get, name), (fields, name)
                assert outcome(fast.get, name, "else") == outcome(stock.get, name, "else"), (fields, name)
                assert outcome(fast.__contains__, name) == outcome(stock.__contains__, name), (fields, name)
                assert outcome(fast.__getitem__, name) == outcome(stock.__getitem__, name), (fields, name)


@pytest.mark.parametrize(
    "change",
    [
        lambda headers: headers.__setitem__("host", "new"),
        lambda headers: headers.__delitem__("HOST"),
        lambda headers: headers.pop("host", None),
        lambda headers: headers.setdefault("x-new", "1"),
        lambda headers: headers.add("Host", "third"),
        lambda headers: headers.set_all("host", ["x", "y", "z"]),
        lambda headers: headers.update({"a": "b", "host": "c"}),
    ],
    ids=["set", "delete", "pop", "setdefault", "add", "set_all", "update"],
)
def test_changes_that_look_something_up_first_come_to_the_same(change):
    fields = ((b"Host", b"one"), (b"A", b"1"), (b"host", b"two"))
    stock, fast = STOCK.Headers(fields), Fast(fields)
    assert outcome(change, fast) == outcome(change, stock)
    assert fast.fields == stock.fields


def test_the_shortcuts_are_methods_of_headers_once_installed():
    shortcuts.install(Speed())
    headers = http.Headers([(b"A", b"1"), (b"a", b"2")])
    assert headers.get_all("A") == ["1", "2"] and headers["a"] == "1, 2" and "A" in headers
    assert http.Headers.get_all is shortcuts.get_all


def in_a_process(program: str) -> str:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("switch", ["fast_headers", "unchecked_types"])
def test_each_switch_changes_its_own_part_and_no_other(switch: str):
    program = f"""
from dataclasses import replace
from mitmproxy import http
before = http.Headers.get_all, http.Headers.__dict__.get("get"), http.MessageData.__post_init__
from jupiter_addons.host import shortcuts
from jupiter_addons.host.state import Speed
off = Speed(fast_headers=False, unchecked_types=False, tuned_collector=False)
def now(): return http.Headers.get_all, http.Headers.__dict__.get("get"), http.MessageData.__post_init__
shortcuts.install(off)
assert now() == before, "something was changed although all is off"
shortcuts.install(replace(off, {switch}=True))
print([old is new for old, new in zip(before, now())])
"""
    headers_as_before = switch != "fast_headers"
    assert in_a_process(program) == str([headers_as_before, headers_as_before, switch != "unchecked_types"])


def test_type_checks_are_what_is_left_out_and_nothing_else():
    program = """
from mitmproxy import http
from jupiter_addons.host import shortcuts
from jupiter_addons.host.state import Speed
def make(): return http.Request.make("POST", "http://a.test/b?c=d", b"body", {"x": "y"}).get_state()
def without_times(state): return {name: value for name, value in state.items() if "timestamp" not in name}
before = without_times(make())
def is_checked():
    try: http.ResponseData(b"HTTP/1.1", http.Headers(), b"", None, 0.0, None, "no number", b"OK")
    except TypeError: return True
    return False
checked = is_checked()
shortcuts.install(Speed())
assert without_times(make()) == before
print(checked, is_checked())
"""
    assert in_a_process(program) == "True False"


def test_the_collector_is_tuned_once_everything_is_open_and_only_if_wanted():
    thresholds, frozen = gc.get_threshold(), gc.get_freeze_count()
    try:
        shortcuts.tune_collector(OFF)
        assert gc.get_threshold() == thresholds and gc.get_freeze_count() == frozen
        shortcuts.tune_collector(Speed())
        assert gc.get_threshold()[0] == shortcuts.YOUNG and gc.get_freeze_count() > frozen and gc.isenabled()
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
