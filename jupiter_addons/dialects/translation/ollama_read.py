"""Ollama chats and generations, read into a conversation.

Shapes: Ollama's API documentation, `/api/chat` and `/api/generate`.  Calls have no ids in older versions and results name
the tool at most: a result then belongs to the first call of that name that has none yet.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jupiter_addons.dialects.call import JsonObject
from jupiter_addons.dialects.fields import invalid
from jupiter_addons.dialects.translation import exact
from jupiter_addons.dialects.translation.conversation import (
    Conversation,
    Format,
    Image,
    Part,
    Reasoning,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from jupiter_addons.dialects.translation.reading import Fields, unsupported

_ADVICE = {
    "keep_alive": "how long a model stays loaded is the server's own",
}
_CUTS = {"truncate": "a prompt that is too long is refused", "shift": "an answer that is too long ends"}
"""Switches that let the server forget a part of what it was told; no other dialect has them."""
_RUNNER = "how a model is run is the server's own"
_OPTION_ADVICE = dict.fromkeys(
    (
        "num_ctx",
        "num_batch",
        "num_gpu",
        "main_gpu",
        "num_thread",
        "num_keep",
        "numa",
        "low_vram",
        "use_mmap",
        "use_mlock",
    ),
    _RUNNER,
)
_KINDS = {"iVBORw0KGgo": "image/png", "/9j/": "image/jpeg", "R0lGOD": "image/gif", "UklGR": "image/webp"}
"""How the base64 of a picture begins -> what it is."""
_ROLES: Mapping[str, Role] = {"system": "system", "user": "user", "assistant": "assistant", "tool": "tool"}


def parse(body: JsonObject, notes: list[str]) -> Conversation:
    """Return the conversation of a chat.  Raises RequestError naming the path at fault."""
    fields = Fields(body)
    turns: list[Turn] = []
    waiting: list[tuple[str, str]] = []
    for number, message in enumerate(fields.items("messages")):
        turn = _turn(Fields(message, f"messages[{number}]"), number, waiting)
        if turn.role == "tool" and turns and turns[-1].role == "tool":
            turns[-1] = Turn("tool", turns[-1].parts + turn.parts, turns[-1].at)
        else:
            turns.append(turn)
    tools = tuple(_tool(Fields(tool, f"tools[{i}]")) for i, tool in enumerate(fields.items("tools")))
    return _asked(fields, tuple(turns), tools, notes)


def parse_generate(body: JsonObject, notes: list[str]) -> Conversation:
    """Return the conversation of a generation: a system prompt and one turn of the user's."""
    fields = Fields(body)
    raw = fields.flag("raw") or False
    turns: list[Turn] = []
    if system := fields.text("system"):
        turns.append(Turn("system", (Text(system),), "system"))
    pictures = _images(fields)
    turns.append(Turn("user", (Text(fields.text("prompt") or ""), *pictures), "prompt"))
    return dataclasses.replace(_asked(fields, tuple(turns), (), notes), raw=raw)


def _asked(fields: Fields, turns: tuple[Turn, ...], tools: tuple[Tool, ...], notes: list[str]) -> Conversation:
    options = fields.within("options")
    cap = options.whole("num_predict")
    stream = fields.flag("stream")
    conversation = Conversation(
        model=fields.need("model"),
        turns=turns,
        stream=stream is None or stream,
        prefill=bool(turns) and turns[-1].role == "assistant",
        max_tokens=cap if cap is not None and cap > 0 else None,
        temperature=options.number("temperature"),
        top_p=options.number("top_p"),
        top_k=options.whole("top_k"),
        seed=options.whole("seed"),
        presence_penalty=options.number("presence_penalty") or None,
        frequency_penalty=options.number("frequency_penalty") or None,
        stop=options.strings("stop"),
        logprobs=fields.flag("logprobs") or False,
        top_logprobs=fields.whole("top_logprobs"),
        tools=tools,
        format=_format(fields.take("format")),
        reasoning=_reasoning(fields.take("think")),
    )
    notes += [f"{name}: left out, {why}" for name, why in _CUTS.items() if fields.flag(name)]
    options.done(notes, _OPTION_ADVICE)
    fields.done(notes, _ADVICE)
    return conversation


def _turn(fields: Fields, number: int, waiting: list[tuple[str, str]]) -> Turn:
    role = _ROLES.get(fields.need("role"))
    if role is None:
        invalid(fields.at("role"), "system, user, assistant or tool")
    content, thinking, pictures = fields.text("content") or "", fields.text("thinking"), _images(fields)
    parts: list[Part] = []
    if thinking:
        parts.append(Thinking(thinking))
    if content or not (thinking or pictures or role == "assistant"):
        parts.append(Text(content))
    parts += pictures
    if role == "tool":
        told = tuple(part for part in parts if isinstance(part, Text | Image))
        parts = [ToolResult(_answered(fields, waiting), told)]
    for place, call in enumerate(fields.items("tool_calls")):
        made = _call(Fields(call, f"{fields.at('tool_calls')}[{place}]"), f"call_{number}_{place}")
        waiting.append((made.id, made.name))
        parts.append(made)
    fields.done()
    return Turn(role, tuple(parts), fields.path)


def _answered(fields: Fields, waiting: list[tuple[str, str]]) -> str:
    """Return the id of the call that a result answers, and take it from those that wait."""
    call_id, name = fields.text("tool_call_id"), fields.text("tool_name")
    for entry in waiting:
        if call_id == entry[0] or (call_id is None and name in (None, entry[1])):
            waiting.remove(entry)
            return entry[0]
    if call_id is None:
        unsupported(fields.path, "is the result of no call")
    return call_id


def _images(fields: Fields) -> list[Image]:
    found = []
    for number, data in enumerate(fields.items("images")):
        path = f"{fields.at('images')}[{number}]"
        if not isinstance(data, str):
            invalid(path, "a string")
        kind = next((kind for start, kind in _KINDS.items() if data.startswith(start)), None)
        if kind is None:
            unsupported(path, "is no PNG, JPEG, GIF or WebP")
        found.append(Image(data, kind))
    return found


def _call(fields: Fields, made_up_id: str) -> ToolCall:
    function = fields.within("function")
    call = ToolCall(
        fields.text("id") or made_up_id, function.need("name"), exact.text(function.object("arguments") or {})
    )
    function.take("index")  # some clients keep it from the stream
    function.take("description")
    function.done()
    fields.take("type")
    fields.done()
    return call


def _tool(fields: Fields) -> Tool:
    if fields.text("type") not in (None, "function"):
        unsupported(fields.at("type"), "can only be `function`")
    function = fields.within("function")
    tool = Tool(function.need("name"), function.text("description"), function.object("parameters"))
    function.done()
    fields.done()
    return tool


def _format(value: Any) -> Format | None:
    if value is None or value == "":
        return None
    if value != "json" and not isinstance(value, dict):
        invalid("format", "`json` or a schema")
    return Format(value if isinstance(value, dict) else None)


def _reasoning(value: Any) -> Reasoning | None:
    if value is None:
        return None
    if not isinstance(value, bool | str):
        invalid("think", "true, false or an effort")
    return Reasoning(value, None) if isinstance(value, bool) else Reasoning(True, value)
