"""A provider's HTTP/2 connection that goes away finishes what it has begun, and gives back what it has not looked at."""

from typing import Any

import h2.config
import h2.connection
import h2.errors
import pytest
from mitmproxy import http
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import ReceiveHttp
from mitmproxy.proxy.layers.http._events import RequestEndOfMessage, RequestHeaders, ResponseProtocolError
from mitmproxy.test import taddons

from jupiter_addons.host.commands import CLOSED
from jupiter_addons.host.upstream_http2 import UpstreamHttp2

OK = [(":status", "200"), ("content-type", "text/event-stream")]


class Talk:
    """Our side of a connection and the provider's."""

    def __init__(self) -> None:
        with taddons.context(Proxyserver()) as tctx:
            client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), state=ConnectionState.OPEN)
            context = Context(client, tctx.options)
        context.server = Server(address=("provider", 443))
        context.server.state = ConnectionState.OPEN
        self.ours = UpstreamHttp2(context)
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.provider = h2.connection.H2Connection(config)
        self.provider.initiate_connection()
        self.heard: list[Any] = []
        self.closed = False
        self.give(events.Start())
        self.flush()

    def give(self, event: events.Event) -> None:
        for command in self.ours.handle_event(event):
            if isinstance(command, commands.SendData):
                self.provider.receive_data(command.data)
            elif isinstance(command, commands.CloseConnection):
                self.closed = True
            elif isinstance(command, ReceiveHttp):
                self.heard.append(command.event)

    def flush(self) -> None:
        if data := self.provider.data_to_send():
            self.give(events.DataReceived(self.ours.conn, data))

    def ask(self, number: int) -> None:
        request = http.Request.make("POST", "https://provider/v1/messages", headers={"host": "provider"})
        self.give(RequestHeaders(number, request, True))
        self.give(RequestEndOfMessage(number))

    def go_away(self, last: int) -> None:
        """Say GOAWAY as servers do that finish what they have: the library would close its own side as well."""
        state = self.provider.state_machine.state
        self.provider.close_connection(h2.errors.ErrorCodes.NO_ERROR, last_stream_id=last)
        self.flush()
        self.provider.state_machine.state = state

    def of(self, number: int) -> list[str]:
        return [type(event).__name__ for event in self.heard if event.stream_id == number]


@pytest.fixture
def talk() -> Talk:
    found = Talk()
    found.ask(100)
    found.ask(200)
    return found


def test_what_was_begun_is_finished_and_then_the_connection_is_closed(talk: Talk):
    talk.provider.send_headers(1, OK)
    talk.provider.send_headers(3, OK)
    talk.flush()
    talk.go_away(3)
    assert talk.ours.going_away
    assert not talk.closed
    for stream in (1, 3):
        talk.provider.send_data(stream, b"data: x\n\n", end_stream=True)
        talk.flush()
    for number in (100, 200):
        assert talk.of(number) == ["ResponseHeaders", "ResponseData", "ResponseEndOfMessage"]
    assert talk.closed


def test_what_was_not_looked_at_can_be_sent_elsewhere(talk: Talk):
    talk.provider.send_headers(1, OK)
    talk.flush()
    talk.go_away(1)
    (lost,) = [event for event in talk.heard if event.stream_id == 200]
    assert isinstance(lost, ResponseProtocolError)
    assert lost.message == CLOSED
    assert not talk.closed
    talk.provider.send_data(1, b"data: x\n\n", end_stream=True)
    talk.flush()
    assert talk.of(100) == ["ResponseHeaders", "ResponseData", "ResponseEndOfMessage"]
    assert talk.closed


def test_a_stream_that_is_reset_is_lost_and_the_others_go_on(talk: Talk):
    talk.provider.reset_stream(3, h2.errors.ErrorCodes.REFUSED_STREAM)
    talk.flush()
    (lost,) = [event for event in talk.heard if event.stream_id == 200]
    assert lost.message != CLOSED  # it is an attempt that failed, not a connection that had gone
    talk.provider.send_headers(1, OK, end_stream=True)
    talk.flush()
    assert talk.of(100) == ["ResponseHeaders", "ResponseEndOfMessage"]
    assert not talk.closed


def test_an_idle_connection_that_goes_away_is_closed_at_once():
    talk = Talk()
    talk.go_away(0)
    assert talk.closed
