"""Anthropic messages requests, read into a conversation.

Shapes: the Anthropic API reference, "Messages", and the official SDK's parameters.
"""

from collections.abc import Mapping

from jupiter_addons.dialects.call import JsonObject
from jupiter_addons.dialects.fields import invalid
from jupiter_addons.dialects.translation import exact, seals
from jupiter_addons.dialects.translation.conversation import (
    Conversation,
    Document,
    Format,
    Image,
    Part,
    Reasoning,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
    Turn,
)
from jupiter_addons.dialects.translation.reading import Fields, unsupported

_ADVICE = {
    "cache_control": "caching is the provider's own",
    "context_management": "it only makes long prompts shorter",
    "service_tier": "capacity is the provider's own",
    "diagnostics": "it is about the provider's own caching",
}
_TOOL_ADVICE = {"eager_input_streaming": "how arguments are streamed is the provider's own"}
_DIRECT = {"type": "direct"}
_ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
_MODES: Mapping[str, ToolMode] = {"auto": "auto", "any": "required", "none": "none", "tool": "tool"}


def parse(body: JsonObject, notes: list[str]) -> Conversation:
    """Return the conversation of a request body.  Raises RequestError naming the path at fault."""
    fields = Fields(body)
    turns: list[Turn] = []
    if parts := _content(fields, "system", notes):
        turns.append(Turn("system", parts, "system"))
    messages = fields.items("messages")
    for number, message in enumerate(messages):
        _read_message(Fields(message, f"messages[{number}]"), turns, notes)
    choice, parallel = _choice(fields.within("tool_choice"))
    config = fields.within("output_config")
    reasoning = _reasoning(fields.within("thinking"), config.text("effort"))
    wanted = _format(config.within("format"))
    config.done(notes)
    metadata = fields.within("metadata")
    user = metadata.text("user_id")
    metadata.done(notes)
    if fields.take("speed") not in (None, "standard"):
        unsupported("speed")
    conversation = Conversation(
        model=fields.need("model"),
        turns=tuple(turns),
        stream=fields.flag("stream") or False,
        prefill=bool(turns) and turns[-1].role == "assistant",
        max_tokens=fields.whole("max_tokens"),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.whole("top_k"),
        stop=fields.strings("stop_sequences"),
        tools=tuple(_tool(Fields(tool, f"tools[{i}]"), notes) for i, tool in enumerate(fields.items("tools"))),
        tool_choice=choice,
        parallel_tools=parallel,
        format=wanted,
        reasoning=reasoning,
        user=user,
    )
    fields.done(notes, _ADVICE)
    return conversation


def _read_message(fields: Fields, turns: list[Turn], notes: list[str]) -> None:
    """Read a message into turns: results stand apart from what else a user says."""
    role = _ROLES.get(fields.need("role"))
    if role is None:
        invalid(fields.at("role"), "user, assistant or system")
    parts = _content(fields, "content", notes)
    fields.done(notes)
    first = len(turns)
    for part in parts or (Text(""),):
        whose: Role = "tool" if isinstance(part, ToolResult) else role
        if len(turns) > first and turns[-1].role == whose:
            turns[-1] = Turn(whose, (*turns[-1].parts, part), fields.path)
        else:
            turns.append(Turn(whose, (part,), fields.path))


def _content(fields: Fields, name: str, notes: list[str]) -> tuple[Part, ...]:
    path, found = fields.at(name), tuple[Part, ...]()
    match content := fields.take(name):
        case None:
            pass
        case str():
            found = (Text(content),)
        case list():
            found = tuple(_block(Fields(block, f"{path}[{i}]"), notes) for i, block in enumerate(content))
        case _:
            invalid(path, "a string or a list of blocks")
    return found


def _block(fields: Fields, notes: list[str]) -> Part:
    cache = fields.object("cache_control")
    part: Part
    match kind := fields.need("type"):
        case "text":
            part = Text(fields.need("text"), cache)
            if fields.items("citations"):
                notes.append(f"{fields.at('citations')}: left out, they say where an earlier answer had its text from")
        case "image":
            data, media_type, url = _source(fields.within("source"))
            part = Image(data, media_type, url, None, cache)
        case "document":
            part = _document(fields, cache, notes)
        case "tool_use":
            part = ToolCall(fields.need("id"), fields.need("name"), exact.text(fields.object("input") or {}), cache)
            if fields.take("caller") not in (None, _DIRECT):
                unsupported(fields.at("caller"))
        case "tool_result":
            call_id, is_error = fields.need("tool_use_id"), fields.flag("is_error") or False
            told = _content(fields, "content", notes)
            plain = tuple(item for item in told if isinstance(item, Text | Image | Document))
            if len(plain) != len(told):
                unsupported(fields.at("content"), "has a block that is no text, image or document")
            part = ToolResult(call_id, plain, is_error, cache)
        case "thinking":
            part = seals.unpack("anthropic", fields.need("thinking"), fields.text("signature"))
        case "redacted_thinking":
            part = seals.unpack("anthropic", "", fields.need("data"), redacted=True)
        case _:
            unsupported(fields.at("type"), f"`{kind[:40]}` has no counterpart")
    fields.done(notes)
    return part


def _source(fields: Fields) -> tuple[str | None, str | None, str | None]:
    """Return data, media type and URL of a file."""
    found: tuple[str | None, str | None, str | None]
    match kind := fields.need("type"):
        case "base64":
            found = fields.need("data"), fields.need("media_type"), None
        case "url":
            found = None, None, fields.need("url")
        case _:
            unsupported(fields.at("type"), f"`{kind[:40]}` has no counterpart")
    fields.done()
    return found


def _document(fields: Fields, cache: JsonObject | None, notes: list[str]) -> Part:
    title, source = fields.text("title"), fields.object("source") or {}
    if fields.within("citations").flag("enabled"):
        unsupported(fields.at("citations"))
    if source.get("type") == "text":
        if title is not None:
            notes.append(f"{fields.at('title')}: left out, the document is sent as plain text")
        return Text(Fields(source, fields.at("source")).need("data"), cache)
    data, media_type, url = _source(Fields(source, fields.at("source")))
    return Document(data, media_type, url, title, cache)


def _tool(fields: Fields, notes: list[str]) -> Tool:
    if (kind := fields.text("type")) not in (None, "custom"):
        unsupported(fields.at("type"), f"`{kind[:40] if kind else ''}` runs at Anthropic alone")
    if fields.flag("defer_loading"):
        unsupported(fields.at("defer_loading"))
    tool = Tool(
        fields.need("name"),
        fields.text("description"),
        fields.object("input_schema"),
        fields.flag("strict"),
        fields.object("cache_control"),
    )
    fields.done(notes, _TOOL_ADVICE)
    return tool


def _choice(fields: Fields) -> tuple[ToolChoice | None, bool | None]:
    """Return the choice, and whether several calls at once are allowed."""
    kind, alone = fields.text("type"), fields.flag("disable_parallel_tool_use")
    parallel = None if alone is None else not alone
    if kind is None:
        return None, parallel
    if kind not in _MODES:
        unsupported("tool_choice.type", f"`{kind[:40]}` has no counterpart")
    mode = _MODES[kind]
    choice = ToolChoice(mode, fields.need("name") if mode == "tool" else None)
    fields.done()
    return choice, parallel


def _reasoning(fields: Fields, effort: str | None) -> Reasoning | None:
    kind, display = fields.text("type"), fields.text("display")
    shown = None if display is None else display != "omitted"
    match kind:
        case None:
            found = None if effort is None else Reasoning(True, effort)
        case "disabled":
            found = Reasoning(False, effort)
        case "adaptive":
            found = Reasoning(True, effort, shown=shown)
        case "enabled":
            found = Reasoning(True, effort, fields.whole("budget_tokens"), shown)
        case _:
            unsupported("thinking.type", f"`{kind[:40]}` has no counterpart")
    fields.done()
    return found


def _format(fields: Fields) -> Format | None:
    if (kind := fields.text("type")) is None:
        return None
    if kind != "json_schema":
        unsupported("output_config.format.type", f"`{kind[:40]}` has no counterpart")
    found = Format(fields.object("schema") or {}, strict=True)
    fields.done()
    return found
