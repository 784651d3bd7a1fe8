"""A relay that edits: nothing passes unread, nothing is held without bounds, the terminal event waits."""

import hashlib
import json

import pytest
from support.redactions import EMAIL, a_rewriter, takes

from jupiter_addons.dialects.call import Usage
from jupiter_addons.dialects.translation.conversation import Asked
from jupiter_addons.errors import Refusal, UpstreamError
from jupiter_addons.policy.rewrite import EventEditor
from jupiter_addons.stages.relay import EventRelay, PieceRelay, Translator

DONE = b"data: [DONE]\n\n"


def delta(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode() + b"\n\n"


def a_relay(*, edits: bool = True, **options) -> EventRelay:
    relay = EventRelay("openai_chat", "openai", **options)
    if edits:
        relay.edit(EventEditor("openai_chat", a_rewriter(takes(EMAIL))))
    return relay


def passed(relay: EventRelay, data: bytes, size: int) -> tuple[bytes, bytes]:
    """What goes out before the end, and at it."""
    before = b"".join(b"".join(relay.feed(data[i : i + size])) for i in range(0, len(data), size))
    relay.drain()
    return before, b"".join(relay.finish())


@pytest.mark.parametrize("size", [1, 17, 10_000])
def test_text_is_edited_wherever_bytes_are_cut_and_the_terminal_event_comes_last(size):
    before, last = passed(a_relay(), delta("to joe@") + delta("x.com!") + DONE, size)
    assert b"joe" not in before
    assert b"[REDACTED]" in before
    assert last == DONE


def test_what_comes_after_the_terminal_event_is_edited_too():
    before, last = passed(a_relay(), DONE + delta("joe@x.com"), 1000)
    assert before == b""
    assert last.startswith(DONE)
    assert b"joe" not in last


def test_what_never_became_an_event_is_not_passed_on_unread():
    rest = delta("joe@x.com")[:-1]
    assert passed(a_relay(), delta("a") + rest, 1000) == (b"", delta("a"))
    assert passed(a_relay(edits=False), delta("a") + rest, 1000) == (delta("a"), rest)


def test_a_held_stream_is_edited_when_its_rules_have_spoken():
    relay = a_relay(edits=False, hold=True)
    data = delta("joe@") + delta("x.com") + DONE + b"data: {"
    assert relay.feed(data) == []
    relay.drain()
    relay.edit(EventEditor("openai_chat", a_rewriter(takes(EMAIL))))
    answered, delivered = relay.digests(None)
    (out,) = relay.finish()
    assert b"joe" not in out
    assert out.endswith(DONE)
    assert answered.sha256 == hashlib.sha256(data).hexdigest()
    assert delivered.sha256 == hashlib.sha256(out).hexdigest()


def test_a_refusal_lets_nothing_out_that_waited():
    relay = a_relay()
    relay.feed(delta("wait joe@x.com"))
    relay.drain()
    (out,) = relay.abort(Refusal("policy_denied", "no"))
    assert out.startswith(b'data: {"error"')
    assert b"wait" not in out


@pytest.mark.parametrize("options", [{}, {"hold": True, "edits": False}], ids=["edits", "holds"])
def test_what_waits_is_bounded(options):
    relay = a_relay(most_held_bytes=5000, **options)
    with pytest.raises(UpstreamError, match="too large to be held back"):
        relay.feed(delta("x") * 300)


ASKED = Asked("m", "01ABC", 0)
CHUNKS = [
    {"model": "m", "message": {"role": "assistant", "content": "to joe@"}, "done": False},
    {"model": "m", "message": {"role": "assistant", "content": "x.com"}, "done": False},
    {
        "model": "m",
        "message": {"content": ""},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 3,
        "eval_count": 4,
    },
]
LINES = [json.dumps(chunk).encode() + b"\n" for chunk in CHUNKS]


def a_translating(*, edits: bool = True, **options) -> EventRelay:
    translator = Translator("ollama_chat", "openai_chat", ASKED)
    relay = EventRelay("openai_chat", "openai", translator=translator, **options)
    if edits:
        relay.edit(EventEditor("openai_chat", a_rewriter(takes(EMAIL))))
    return relay


@pytest.mark.parametrize("size", [1, 17, 10_000])
def test_a_translated_stream_is_edited_as_the_client_gets_it_and_counted_as_the_provider_did(size):
    relay = a_translating()
    before, last = passed(relay, b"".join(LINES), size)
    relay.conclude()
    assert b"[REDACTED]" in before and b"joe" not in before
    assert last == DONE
    assert relay.reply().usage == Usage(3, 4)
    answered, delivered = relay.digests(None)
    assert answered.sha256 == hashlib.sha256(b"".join(LINES)).hexdigest()
    assert delivered.length == len(before + last)


def test_a_translated_stream_that_was_cut_does_not_conclude():
    relay = a_translating(edits=False)
    before, last = passed(relay, LINES[0] + LINES[1] + LINES[2][:-1], 10_000)
    assert b"joe" in before and last == b""
    with pytest.raises(UpstreamError, match="ended before its answer"):
        relay.conclude()


def test_a_translated_stream_has_begun_when_the_provider_has():
    relay = a_translating()
    assert not relay.begun
    relay.feed(LINES[0])
    assert relay.begun


@pytest.mark.parametrize(
    ("dialect", "family", "end"),
    [
        ("openai_responses", "openai", b"event: response.failed"),
        ("anthropic_messages", "anthropic", b"event: error"),
        ("ollama_chat", "ollama", b'{"error":"no"}\n'),
    ],
)
def test_a_refusal_ends_a_stream_in_a_way_its_client_knows(dialect, family, end):
    relay = EventRelay(dialect, family)
    (out,) = relay.abort(Refusal("policy_denied", "no"))
    assert out.startswith(end)


def test_lines_are_held_until_the_last_is_durable():
    relay = EventRelay("ollama_chat", "ollama")
    assert passed(relay, b"".join(LINES), 7) == (LINES[0] + LINES[1], LINES[2])


class UpTo:
    """A meter that allows so many tokens."""

    spent, held_tokens = "usd_per_day", 3

    def allows(self, tokens: int) -> bool:
        return tokens < 3


@pytest.mark.parametrize("size", [1, 17, 10_000])
@pytest.mark.parametrize("edits", [False, True])
def test_what_the_meter_ends_is_ended_as_the_dialect_does_and_nothing_follows(size, edits):
    relay = a_relay(edits=edits, meter=UpTo())
    before, last = passed(relay, b"".join(delta(f"w{n} ") for n in range(9)) + DONE, size)
    assert relay.cut
    assert relay.ending
    assert b"w2" in before + last
    assert b"w3" not in before + last
    assert b'"finish_reason":"length"' in before + last
    assert last.endswith(DONE)
    reply = relay.reply()
    assert not reply.complete
    assert reply.own_tokens == 3
    assert reply.finish_reasons == ("length",)
    relay.conclude()


def test_a_stream_that_ends_by_itself_is_not_cut():
    relay = a_relay(edits=False, meter=UpTo())
    passed(relay, delta("a") + delta("b") + DONE, 1000)
    assert not relay.cut
    assert relay.reply().complete


def test_a_translated_stream_is_ended_in_the_clients_dialect():
    asked = Asked("m", "call", 0, False, {})
    relay = EventRelay(
        "openai_chat", "openai", translator=Translator("anthropic_messages", "openai_chat", asked), meter=UpTo()
    )
    events = [
        {
            "type": "message_start",
            "message": {"id": "i", "model": "m", "usage": {"input_tokens": 7, "output_tokens": 1}},
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": f"w{n} "}}
            for n in range(9)
        ),
    ]
    said = b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)
    before, last = passed(relay, said, 10_000)
    assert relay.cut
    assert b"w2" in before
    assert b"w3" not in before + last
    assert last.endswith(DONE)
    reply = relay.reply()
    assert not reply.complete
    assert reply.usage is not None
    assert reply.usage.input_tokens == 7
    relay.conclude()


def test_of_a_stream_without_a_terminal_event_the_last_one_waits():
    data = [b"data: {}\n\n", b": comment\n\n", b'data: {"type": "image_generation.completed"}\n\n']
    for size in (1, 7, 1000):
        relay = EventRelay("passthrough", "openai", keep_last=True)
        before, last = passed(relay, b"".join(data), size)
        assert (before, last) == (b"".join(data[:-1]), data[-1])
        assert relay.reply().complete
    relay = EventRelay("passthrough", "openai", keep_last=True)
    relay.feed(data[0])
    assert not relay.reply().complete
    relay = EventRelay("passthrough", "openai", keep_last=True)
    relay.feed(b"".join(data))
    assert b"".join(relay.abort(Refusal("provider_error", "x"))).startswith(b'data: {"error"')
    assert relay.finish() == []


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_pieces_pass_and_the_last_waits(size):
    data = bytes(range(256))
    relay = PieceRelay()
    before = b"".join(b"".join(relay.feed(data[i : i + size])) for i in range(0, len(data), size))
    assert before == data[: len(before)] and len(data) - size <= len(before) < len(data)
    assert not relay.reply().complete
    relay.drain()
    said = relay.reply()
    assert (said.complete, said.unread, said.usage) == (True, True, None)
    answered, delivered = relay.digests(None)
    assert answered == delivered and answered.sha256 == hashlib.sha256(data).hexdigest()
    _, cut = relay.digests(Refusal("provider_error", "x"))
    assert (cut.sha256, cut.length) == (hashlib.sha256(before).hexdigest(), len(before))
    assert before + b"".join(relay.finish()) == data


def test_pieces_that_break_off_stay_so_and_cannot_be_changed():
    relay = PieceRelay()
    assert not relay.begun and not relay.is_framed
    assert relay.feed(b"a") == relay.feed(b"") == []
    assert relay.abort(Refusal("provider_error", "x")) == relay.finish() == []
    with pytest.raises(UpstreamError):
        relay.edit(EventEditor("passthrough", a_rewriter(takes(EMAIL))))
