"""What translation costs: every pair of chat dialects that can say it, on a conversation of 1 KB with a tool, CPU time of one thread.

A request is translated there and its answer back; of a stream, each of the provider's events with a few words of text.  The
figures are those of the dearest pair; the line above them names it.
"""

import time
from collections.abc import Callable, Iterator

import orjson

from bench.figures import Plan, calibrate
from jupiter_addons.dialects import translate
from jupiter_addons.dialects.call import Call, DialectName, Usage
from jupiter_addons.dialects.registry import PARSERS, WIRES
from jupiter_addons.dialects.sse import Frame
from jupiter_addons.dialects.strict import scan
from jupiter_addons.dialects.translation.conversation import (
    Answer,
    Asked,
    Begin,
    Conversation,
    Options,
    Stop,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)

ROOMS = {
    "type": "object",
    "properties": {"room": {"type": "string"}, "hour": {"type": "integer"}},
    "required": ["room"],
}
SAID = "Please summarise the quarterly figures of the northern region, and say which three numbers moved most. " * 3
CHAT = Conversation(
    model="m",
    max_tokens=500,
    temperature=0.2,
    tools=(Tool("book_room", "Books a room for an hour of today.", ROOMS),),
    turns=(
        Turn("system", (Text("You are helpful, short and exact."),)),
        Turn("user", (Text(SAID),)),
        Turn("assistant", (ToolCall("call_1", "book_room", '{"room": "b12", "hour": 14}'),)),
        Turn("tool", (ToolResult("call_1", (Text("booked"),)),)),
    ),
)
RAW = Conversation(model="m", max_tokens=500, temperature=0.2, raw=True, turns=(Turn("user", (Text(SAID),)),))
PLAIN = Conversation(model="m", max_tokens=500, turns=(Turn("user", (Text(SAID),)),))
ANSWER = Answer("id-1", "m", (Text(SAID),), "end", usage=Usage(300, 80))
ASKED = Asked("m", "01ABC", 1_700_000_000)
EVENTS = 400


def run(plan: Plan, say: Callable[[str], None]) -> dict[str, float]:
    """Measure every pair, round by round, and return the figures by their promised names."""
    whole = {f"{source} → {target}": work for source, target, work in _requests()}
    events = {f"{source} → {target}": work for source, target, work in _streams()}
    requests_ms: dict[str, list[float]] = {pair: [] for pair in whole}
    events_us: dict[str, list[float]] = {pair: [] for pair in events}
    calibrations = [calibrate()]
    times = max(5, plan.requests // 20)
    for number in range(plan.rounds):
        for pair, work in whole.items():
            requests_ms[pair].append(_cpu_s(work, times) / times * 1000)
        for pair, work in events.items():
            events_us[pair].append(_cpu_s(work, 1) / EVENTS * 1e6)
        say(f"translation {number + 1}/{plan.rounds}: {len(whole)} pairs of requests, {len(events)} of streams")
        calibrations.append(calibrate())
    request_ms, event_us = _dearest(requests_ms), _dearest(events_us)
    say(f"the dearest: a request {request_ms[0]}, an event {event_us[0]}")
    return {
        "translation_request_ms": round(request_ms[1], 4),
        "translation_event_us": round(event_us[1], 2),
        "translation_pairs": float(len(whole)),
        "calibration_s": round(sorted(calibrations)[len(calibrations) // 2], 4),
    }


def _dearest(measured: dict[str, list[float]]) -> tuple[str, float]:
    """Return the pair whose median is the highest, and that."""
    medians = {pair: sorted(values)[len(values) // 2] for pair, values in measured.items()}
    pair = max(medians, key=lambda pair: medians[pair])
    return pair, medians[pair]


def _cpu_s(work: Callable[[], object], times: int) -> float:
    work()
    start = time.process_time()
    for _ in range(times):
        work()
    return time.process_time() - start


def _requests() -> Iterator[tuple[DialectName, DialectName, Callable[[], object]]]:
    """Yield what translates a request there and its answer back, for every pair that can."""
    answers = {dialect: orjson.dumps(chat.render(ANSWER, ASKED)) for dialect, chat in translate.CHATS.items()}
    for source in translate.CHATS:
        for target in translate.CHATS:
            call = None if source == target else _call(source, target)
            if call is not None:
                asked = translate.asked_by(call, call_id="01ABC", at_s=1_700_000_000)

                def work(call: Call = call, target: DialectName = target, asked: Asked = asked) -> object:
                    made = translate.request(call, b"", target, "m")
                    assert isinstance(made, translate.Translated)
                    return translate.reply(200, answers[target], target, call.dialect, asked)

                yield source, target, work


def _call(source: DialectName, target: DialectName) -> Call | None:
    """Return the fullest of our requests in one dialect that can be said in the other; None if none can."""
    for said in (CHAT, PLAIN, RAW):
        try:
            written = translate.CHATS[source].write(said, Options(), [])
        except translate.RequestError:
            continue
        call = PARSERS[source](scan(orjson.dumps(written)))
        if isinstance(translate.request(call, b"", target, "m"), translate.Translated):
            return call
    return None


def _streams() -> Iterator[tuple[DialectName, DialectName, Callable[[], object]]]:
    """Yield what translates a stream, for every pair."""
    frames = {dialect: _frames(dialect) for dialect in translate.CHATS}
    for source in translate.CHATS:
        for client in translate.CHATS:
            if source != client:

                def work(source: DialectName = source, client: DialectName = client) -> None:
                    translation = translate.stream(source, client, ASKED)
                    for frame in frames[source]:
                        translation.feed(frame)
                    translation.finish()

                yield source, client, work


def _frames(dialect: DialectName) -> list[Frame]:
    """Return the events of a streamed answer."""
    writer = translate.CHATS[dialect].writer(ASKED)
    text = [writer.write(TextDelta("some more words ")) for _ in range(EVENTS)]
    stream = b"".join([writer.begin(Begin("id-1", "m")), *text, writer.end(Stop("end"), Usage(300, 80))])
    return WIRES[dialect].splitter().feed(stream)
