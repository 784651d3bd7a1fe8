"""What rules want said is said without what nobody may read in a log."""

import logging
from types import SimpleNamespace

from jupiter_addons.exchange import EXCHANGES
from jupiter_addons.policy.effects import By, LogLine
from jupiter_addons.stages.tell import TellOfRequest
from jupiter_addons.telemetry.logs import FIELDS


class Flow:
    error = response = None


def test_a_credential_that_a_client_wrote_is_in_no_field_of_a_log_line(caplog):
    fields = (("request.user", "me sk-abcdefghijklmnop"), ("request.model", "m"))
    line = LogLine(By("p", "r"), "info", "saw sk-abcdefghijklmnop", fields)
    x = SimpleNamespace(call_id="c", recorded=False, refusal=None, filled=lambda _name: True)
    x.decision = SimpleNamespace(faults=(), logs=(line,), effects=())
    flow = Flow()
    EXCHANGES[flow] = x
    with caplog.at_level(logging.INFO, "jupiter.policy"):
        TellOfRequest(lambda *_: None).request(flow)
    (record,) = caplog.records
    assert getattr(record, FIELDS) == {
        "call": "c",
        "rule": "p/r",
        "request.user": "me [credential]",
        "request.model": "m",
    }
