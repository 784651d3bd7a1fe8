"""What tests of translation share."""

from jupiter_addons.dialects import translate
from jupiter_addons.dialects.call import Call, DialectName, Usage
from jupiter_addons.dialects.registry import PARSERS, WIRES
from jupiter_addons.dialects.sse import Frame
from jupiter_addons.dialects.translation.conversation import (
    Answer,
    Asked,
    Begin,
    CallBegin,
    CallDelta,
    Conversation,
    Delta,
    Fault,
    Options,
    Seal,
    Stop,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ToolCall,
)
from jupiter_addons.dialects.translation.streams import StreamTranslation

ASKED = Asked("asked-model", "01ABC", 1_700_000_000)


def call_of(dialect: DialectName, body: dict) -> Call:
    """Return the call in a body."""
    return PARSERS[dialect](body)


def read(dialect: DialectName, body: dict) -> tuple[Conversation, list[str]]:
    """Return the conversation in a body, and the notes."""
    notes: list[str] = []
    return translate.CHATS[dialect].read(body, notes), notes


def write(dialect: DialectName, asked: Conversation, options: Options | None = None) -> tuple[dict, list[str]]:
    """Return the body of a conversation, and the notes."""
    notes: list[str] = []
    return translate.CHATS[dialect].write(asked, options or Options(), notes), notes


def frames_of(dialect: DialectName, pieces: list[bytes]) -> list[Frame]:
    """Return the events in the bytes of a stream."""
    splitter = WIRES[dialect].splitter()
    return [frame for piece in pieces for frame in splitter.feed(piece)]


def translate_stream(source: DialectName, client: DialectName, pieces: list[bytes]) -> bytes:
    """Return a whole stream, translated."""
    translation = translate.stream(source, client, ASKED)
    out = b"".join(translation.feed(frame) for frame in frames_of(source, pieces))
    translation.finish()
    return out


def written_stream(dialect: DialectName, answer: Answer, cut: int) -> bytes:
    """Return an answer as a stream, its text in pieces of `cut` characters and its calls one inside the other."""
    writer = translate.CHATS[dialect].writer(ASKED)
    out = [writer.begin(Begin(answer.id, answer.model))]
    calls = [part for part in answer.parts if isinstance(part, ToolCall)]
    for part in answer.parts:
        match part:
            case Thinking():
                out += [writer.write(ThinkingDelta(piece)) for piece in _pieces(part.text, cut)]
                if part.seal is not None and part.sealer is not None:
                    out.append(writer.write(Seal(part.seal, part.sealer, part.redacted, part.id)))
            case Text():
                out += [writer.write(TextDelta(piece)) for piece in _pieces(part.text, cut)]
    for index, call in enumerate(calls):
        out.append(writer.write(CallBegin(index, call.id, call.name)))
    for at in range(0, max((len(call.arguments) for call in calls), default=0), cut):
        out += [
            writer.write(CallDelta(index, piece))
            for index, call in enumerate(calls)
            if (piece := call.arguments[at : at + cut])
        ]
    out.append(writer.end(Stop(answer.stop, answer.stop_sequence), answer.usage))
    return b"".join(out)


def _pieces(text: str, cut: int) -> list[str]:
    return [text[at : at + cut] for at in range(0, len(text), cut)]


def fold(dialect: DialectName, frames: list[Frame]) -> Answer:
    """Return the answer that a stream amounts to."""
    folded = Fold()
    translation = StreamTranslation(translate.CHATS[dialect].reader(ASKED), folded)
    for frame in frames:
        translation.feed(frame)
    translation.finish()
    assert folded.answer is not None
    return folded.answer


class Fold:
    """A writer that keeps what it is given."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self._parts: list = []
        self._calls: dict[int, int] = {}

    def begin(self, begin: Begin) -> bytes:
        self._begin = begin
        return b""

    def write(self, delta: Delta) -> bytes:
        last = self._parts[-1] if self._parts else None
        match delta:
            case TextDelta() if isinstance(last, Text):
                self._parts[-1] = Text(last.text + delta.text)
            case TextDelta():
                self._parts.append(Text(delta.text))
            case ThinkingDelta() if isinstance(last, Thinking) and last.seal is None:
                self._parts[-1] = Thinking(last.text + delta.text)
            case ThinkingDelta():
                self._parts.append(Thinking(delta.text))
            case Seal():
                text = self._parts.pop().text if isinstance(last, Thinking) and last.seal is None else ""
                self._parts.append(Thinking(text, delta.seal, delta.sealer, delta.redacted, delta.id))
            case CallBegin():
                self._calls[delta.index] = len(self._parts)
                self._parts.append(ToolCall(delta.id, delta.name, ""))
            case CallDelta():
                at = self._calls[delta.index]
                call = self._parts[at]
                self._parts[at] = ToolCall(call.id, call.name, call.arguments + delta.arguments)
        return b""

    def end(self, stop: Stop, usage: Usage | None) -> bytes:
        begin = self._begin
        self.answer = Answer(begin.id, begin.model, tuple(self._parts), stop.reason, stop.sequence, usage)
        return b""

    def fault(self, fault: Fault) -> bytes:
        raise AssertionError(fault)
