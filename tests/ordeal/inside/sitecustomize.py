"""Run by Python as it starts (PYTHONPATH): what rows need inside a gateway's process, each asked for by a variable.

ORDEAL_NAMES  a file: name -> addresses, as JSON, read at each lookup; a number among them is seconds to wait
ORDEAL_BUG    a method of the event relay that raises when an event with `bug-here` has come
ORDEAL_LEASE  two numbers of seconds: how long a hold lasts of which nothing is heard, and how often it is renewed
ORDEAL_STEPS  a directory: what every process does to money, as a `support.history` each, written before it goes on
"""

import json
import os
import socket
import time

if names := os.environ.get("ORDEAL_NAMES"):
    _stock = socket.getaddrinfo

    def getaddrinfo(host, port, *args, **kwargs):
        with open(names) as file:  # noqa: PTH123 - Python is only just starting
            table = json.load(file)
        if host not in table:
            return _stock(host, port, *args, **kwargs)
        found = []
        for entry in table[host]:
            if isinstance(entry, str):
                found += _stock(entry, port, *args, **kwargs)
            else:
                time.sleep(entry)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found

    socket.getaddrinfo = getaddrinfo

if method := os.environ.get("ORDEAL_BUG"):
    from jupiter_addons.stages.relay import EventRelay

    _feed, _method = EventRelay.feed, getattr(EventRelay, method)
    _marked = set()

    def feed(self, data):
        if b"bug-here" in data:
            _marked.add(id(self))
        return (_feed if method != "feed" else faulty)(self, data)

    def faulty(self, *args):
        if id(self) in _marked:
            raise RuntimeError("injected")
        return _method(self, *args)

    EventRelay.feed = feed
    if method != "feed":
        setattr(EventRelay, method, faulty)

if lease := os.environ.get("ORDEAL_LEASE"):
    from jupiter_addons.limits import ledger

    ledger.LEASE_S, ledger.RENEW_S = (float(seconds) for seconds in lease.split(","))

if steps := os.environ.get("ORDEAL_STEPS"):
    from jupiter_addons.errors import StoreError
    from jupiter_addons.limits.ledger import Exceeded, Ledger

    _reserve, _settle = Ledger.reserve, Ledger.settle
    _file = None

    def note(step, call_id, amount):
        global _file
        if _file is None:  # not before: nothing is taken in most of the processes that start
            _file = os.open(f"{steps}/{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(_file, f"{time.clock_gettime_ns(time.CLOCK_BOOTTIME)} {step} {call_id} {amount}\n".encode())

    async def reserve(self, call_id, limits, amounts, **how):
        note("asks", call_id, amounts.nusd)
        try:
            outcome = await _reserve(self, call_id, limits, amounts, **how)
        except StoreError:
            note("fails", call_id, 0)
            raise
        note("refused" if isinstance(outcome, Exceeded) else "held", call_id, amounts.nusd)
        return outcome

    async def settle(self, held, true, **how):
        note("settles", held.call_id, true.nusd)
        done = await _settle(self, held, true, **how)
        note("settled", held.call_id, true.nusd)
        return done

    Ledger.reserve, Ledger.settle = reserve, settle
