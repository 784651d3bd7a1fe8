"""OpenAI responses requests, read into a conversation.

Shapes: the OpenAI API reference, "Create a model response".  Items that stand together and are the assistant's (reasoning,
messages, calls) are one turn.  What only the provider keeps (`previous_response_id`, item references) cannot go elsewhere.
"""

from collections.abc import Mapping

from jupiter_addons.dialects.call import JsonObject
from jupiter_addons.dialects.fields import invalid
from jupiter_addons.dialects.translation import data_urls, seals
from jupiter_addons.dialects.translation.chat_read import SHARED
from jupiter_addons.dialects.translation.conversation import (
    Conversation,
    Declined,
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
    ToolResult,
    Turn,
)
from jupiter_addons.dialects.translation.reading import Fields, unsupported

_ADVICE = {
    "max_tool_calls": "it counts calls of tools that run at OpenAI",
    "truncation": "a prompt that is too long is refused",
    "prompt_cache_options": "caching is the provider's own",
    "client_metadata": "it tells OpenAI which client is asking",
}
_CODEX = "internal_chat_message_metadata_passthrough"
_STREAM_ADVICE = {"include_obfuscation": "padding is the provider's own"}
_ENCRYPTED, _LOGPROBS = "reasoning.encrypted_content", "message.output_text.logprobs"
_ROLES: Mapping[str, Role] = {"user": "user", "system": "system", "developer": "system", "assistant": "assistant"}


def parse(body: JsonObject, notes: list[str]) -> Conversation:
    """Return the conversation of a request body.  Raises RequestError naming the path at fault."""
    fields = Fields(body)
    turns: list[Turn] = []
    if instructions := fields.text("instructions"):
        turns.append(Turn("system", (Text(instructions),), "instructions"))
    asked = fields.take("input")
    if isinstance(asked, str):
        turns.append(Turn("user", (Text(asked),), "input"))
    elif isinstance(asked, list):
        for number, item in enumerate(asked):
            _add(turns, _item(Fields(item, f"input[{number}]"), notes))
    elif asked is not None:
        invalid("input", "a string or a list of items")
    included = fields.items("include")
    if any(name not in (_ENCRYPTED, _LOGPROBS) for name in included):
        unsupported("include")
    if fields.take("background"):
        unsupported("background")
    if fields.take("truncation") == "auto":
        notes.append(f"truncation: left out, {_ADVICE['truncation']}")
    stream_options = fields.within("stream_options")
    stream_options.done(notes, _STREAM_ADVICE)
    said = fields.within("text")
    verbosity = said.text("verbosity")
    shared = {name: value for name in SHARED if (value := fields.take(name)) is not None}
    conversation = Conversation(
        model=fields.need("model"),
        turns=tuple(turns),
        stream=fields.flag("stream") or False,
        max_tokens=fields.whole("max_output_tokens"),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        logprobs=_LOGPROBS in included,
        top_logprobs=fields.whole("top_logprobs"),
        tools=tuple(_tool(Fields(tool, f"tools[{i}]")) for i, tool in enumerate(fields.items("tools"))),
        tool_choice=_choice(fields.take("tool_choice")),
        parallel_tools=fields.flag("parallel_tool_calls"),
        format=_format(said.within("format")),
        reasoning=_reasoning(fields.within("reasoning")),
        user=fields.text("user"),
        openai=shared if verbosity is None else {**shared, "verbosity": verbosity},
    )
    said.done()
    fields.done(notes, _ADVICE)
    return conversation


def _add(turns: list[Turn], turn: Turn) -> None:
    if turns and turns[-1].role == turn.role and turn.role in ("assistant", "tool"):
        turn = Turn(turn.role, turns[-1].parts + turn.parts, turns.pop().at)
    turns.append(turn)


def _item(fields: Fields, notes: list[str]) -> Turn:
    id_ = fields.text("id")
    fields.take("status")
    note = f"input.{_CODEX}: left out, it tells OpenAI which turn of Codex's an item is of"
    if fields.take(_CODEX) is not None and note not in notes:  # it is beside every item
        notes.append(note)
    match kind := fields.text("type"):
        case None | "message":
            fields.take("phase")
            role = _ROLES.get(fields.need("role"))
            if role is None:
                invalid(fields.at("role"), "user, system, developer or assistant")
            turn = Turn(role, _content(fields, "content"), fields.path)
        case "function_call":
            call = ToolCall(fields.need("call_id"), fields.need("name"), fields.need("arguments"))
            turn = Turn("assistant", (call,), fields.path)
        case "function_call_output":
            call_id = fields.need("call_id")
            told = tuple(part for part in _content(fields, "output") if isinstance(part, Text | Image | Document))
            turn = Turn("tool", (ToolResult(call_id, told),), fields.path)
        case "reasoning":
            return _thinking(fields, id_)
        case _:
            unsupported(fields.at("type"), f"`{kind[:40]}` has no counterpart")
    fields.done()
    return turn


def _thinking(fields: Fields, id_: str | None) -> Turn:
    told = [Fields(part, fields.at("summary")).need("text") for part in fields.items("summary")]
    open_ = [Fields(part, fields.at("content")).need("text") for part in fields.items("content")]
    seal = fields.text("encrypted_content")
    fields.done()
    return Turn("assistant", (seals.unpack("openai", "\n\n".join(told or open_), seal, id=id_),), fields.path)


def _content(fields: Fields, name: str) -> tuple[Part, ...]:
    path, found = fields.at(name), tuple[Part, ...]()
    match content := fields.take(name):
        case None:
            pass
        case str():
            found = (Text(content),)
        case list():
            found = tuple(_part(Fields(part, f"{path}[{i}]")) for i, part in enumerate(content))
        case _:
            invalid(path, "a string or a list of parts")
    return found


def _part(fields: Fields) -> Part:
    part: Part
    match kind := fields.need("type"):
        case "input_text" | "output_text" | "text":
            part = Text(fields.need("text"))
            fields.take("annotations")  # where an earlier answer had its text from, and how sure it was
            fields.take("logprobs")
        case "refusal":
            part = Declined(fields.need("refusal"))
        case "input_image":
            media_type, data, url = data_urls.parse(fields.need("image_url"), fields.at("image_url"))
            part = Image(data, media_type, url, fields.text("detail"))
        case "input_file":
            given = fields.text("file_data") or fields.need("file_url")
            media_type, data, url = data_urls.parse(given, fields.at("file_data"))
            part = Document(data, media_type, url, fields.text("filename"))
        case _:
            unsupported(fields.at("type"), f"`{kind[:40]}` has no counterpart")
    fields.done()
    return part


def _tool(fields: Fields) -> Tool:
    kind = fields.need("type")
    if kind != "function":
        unsupported(fields.at("type"), f"`{kind[:40]}` has no counterpart")
    tool = Tool(fields.need("name"), fields.text("description"), fields.object("parameters"), fields.flag("strict"))
    fields.done()
    return tool


def _choice(value: object) -> ToolChoice | None:
    found = None
    match value:
        case None:
            pass
        case "auto" | "none" | "required":
            found = ToolChoice(value)
        case {"type": "function", "name": str(name)}:
            found = ToolChoice("tool", name)
        case _:
            unsupported("tool_choice")
    return found


def _format(fields: Fields) -> Format | None:
    match kind := fields.text("type"):
        case None | "text":
            found = None
        case "json_object":
            found = Format()
        case "json_schema":
            schema, name = fields.object("schema") or {}, fields.text("name")
            found = Format(schema, name, fields.flag("strict"), fields.text("description"))
        case _:
            unsupported(fields.at("type"), f"`{kind[:40]}` has no counterpart")
    fields.done()
    return found


def _reasoning(fields: Fields) -> Reasoning | None:
    effort = fields.text("effort")
    summary = fields.text("summary") or fields.text("generate_summary")
    fields.take("generate_summary")
    fields.done()
    if effort is None and summary is None:
        return None
    return Reasoning(effort != "none", effort, shown=None if summary is None else True)
