"""Chat completions requests, read into a conversation.

Shapes: the OpenAI API reference, "Create chat completion".  Of what compatible servers add, `top_k`, `reasoning_content`
and `thinking_blocks` (signed reasoning of Anthropic models, in Anthropic's own words) are understood.
"""

from jupiter_addons.dialects.call import JsonObject
from jupiter_addons.dialects.fields import invalid
from jupiter_addons.dialects.translation import data_urls
from jupiter_addons.dialects.translation.conversation import (
    Conversation,
    Declined,
    Document,
    Format,
    Image,
    Part,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from jupiter_addons.dialects.translation.reading import Fields, unsupported
from jupiter_addons.dialects.translation.seals import unpack

SHARED = (
    "store",
    "metadata",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "verbosity",
)
"""OpenAI's own fields that responses have as well."""
_ADVICE = {
    "prediction": "it only makes an answer faster",
    "prompt_cache_options": "caching is the provider's own",
}
_STREAM_ADVICE = {"include_obfuscation": "padding is the provider's own"}


def parse(body: JsonObject, notes: list[str]) -> Conversation:
    """Return the conversation of a request body.  Raises RequestError naming the path at fault."""
    fields = Fields(body)
    turns: list[Turn] = []
    for number, message in enumerate(fields.items("messages")):
        turn = _turn(Fields(message, f"messages[{number}]"), notes)
        if turn.role == "tool" and turns and turns[-1].role == "tool":
            turns[-1] = Turn("tool", turns[-1].parts + turn.parts, turns[-1].at)
        else:
            turns.append(turn)
    effort = fields.text("reasoning_effort")
    cap, older_cap = fields.whole("max_completion_tokens"), fields.whole("max_tokens")
    stream_options = fields.within("stream_options")
    stream_options.take("include_usage")
    stream_options.done(notes, _STREAM_ADVICE)
    if fields.take("modalities") not in (None, ["text"]):
        unsupported("modalities", "can only be text")
    conversation = Conversation(
        model=fields.need("model"),
        turns=tuple(turns),
        stream=fields.flag("stream") or False,
        max_tokens=older_cap if cap is None else cap,
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.whole("top_k"),
        seed=fields.whole("seed"),
        presence_penalty=fields.number("presence_penalty") or None,
        frequency_penalty=fields.number("frequency_penalty") or None,
        logit_bias=fields.object("logit_bias") or None,
        stop=fields.strings("stop"),
        n=fields.whole("n") or 1,
        logprobs=fields.flag("logprobs") or False,
        top_logprobs=fields.whole("top_logprobs"),
        tools=tuple(_tool(Fields(tool, f"tools[{i}]")) for i, tool in enumerate(fields.items("tools"))),
        tool_choice=_choice(fields.take("tool_choice")),
        parallel_tools=fields.flag("parallel_tool_calls"),
        format=_format(fields.within("response_format")),
        reasoning=None if effort is None else Reasoning(effort != "none", effort),
        user=fields.text("user"),
        openai={name: value for name in SHARED if (value := fields.take(name)) is not None},
    )
    fields.done(notes, _ADVICE)
    return conversation


def _turn(fields: Fields, notes: list[str]) -> Turn:
    match role := fields.need("role"):
        case "system" | "developer":
            turn = Turn("system", _content(fields), fields.path)
        case "user":
            turn = Turn("user", _content(fields), fields.path)
        case "tool":
            call_id = fields.need("tool_call_id")
            fields.take("name")  # LiteLLM and older examples repeat the tool's, which stands in the call
            told = tuple(part for part in _content(fields) if isinstance(part, Text | Image | Document))
            turn = Turn("tool", (ToolResult(call_id, told),), fields.path)
        case "assistant":
            turn = Turn("assistant", _said(fields), fields.path)
        case _:
            unsupported(fields.at("role"), f"`{role[:40]}` has no counterpart")
    fields.done(notes)
    return turn


def _content(fields: Fields) -> tuple[Part, ...]:
    path, found = fields.at("content"), tuple[Part, ...]()
    match content := fields.take("content"):
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
    cache = fields.object("cache_control")
    part: Part
    match kind := fields.need("type"):
        case "text":
            part = Text(fields.need("text"), cache)
        case "refusal":
            part = Declined(fields.need("refusal"))
        case "image_url":
            within = fields.within("image_url")
            media_type, data, url = data_urls.parse(within.need("url"))
            part = Image(data, media_type, url, within.text("detail"), cache)
            within.done()
        case "file":
            within = fields.within("file")
            media_type, data, url = data_urls.parse(within.need("file_data"))
            part = Document(data, media_type, url, within.text("filename"), cache)
            within.done()
        case _:
            unsupported(fields.at("type"), f"`{kind[:40]}` has no counterpart")
    fields.done()
    return part


def _said(fields: Fields) -> tuple[Part, ...]:
    parts: list[Part] = []
    for number, block in enumerate(fields.items("thinking_blocks")):
        parts.append(_thinking_block(Fields(block, f"{fields.at('thinking_blocks')}[{number}]")))
    told = fields.text("reasoning_content")
    if told and not parts:
        parts.append(Thinking(told))
    parts += [part for part in _content(fields) if part != Text("")]
    if refusal := fields.text("refusal"):
        parts.append(Declined(refusal))
    for number, call in enumerate(fields.items("tool_calls")):
        parts.append(_call(Fields(call, f"{fields.at('tool_calls')}[{number}]")))
    fields.take("annotations")  # where an earlier answer had its text from; it was never part of the prompt
    return tuple(parts)


def _thinking_block(fields: Fields) -> Thinking:
    fields.take("index")  # kept from the stream
    if fields.need("type") == "redacted_thinking":
        block = unpack("anthropic", "", fields.need("data"), redacted=True)
    else:
        block = unpack("anthropic", fields.need("thinking"), fields.text("signature"))
    fields.done()
    return block


def _call(fields: Fields) -> ToolCall:
    if fields.text("type") not in (None, "function"):
        unsupported(fields.at("type"), "can only be `function`")
    function = fields.within("function")
    call = ToolCall(fields.need("id"), function.need("name"), function.need("arguments"))
    function.done()
    fields.take("index")  # some clients keep it from the stream
    fields.done()
    return call


def _tool(fields: Fields) -> Tool:
    if fields.text("type") not in (None, "function"):
        unsupported(fields.at("type"), "can only be `function`")
    function = fields.within("function")
    tool = Tool(
        function.need("name"),
        function.text("description"),
        function.object("parameters"),
        function.flag("strict"),
        fields.object("cache_control"),
    )
    function.done()
    fields.done()
    return tool


def _choice(value: object) -> ToolChoice | None:
    found = None
    match value:
        case None:
            pass
        case "auto" | "none" | "required":
            found = ToolChoice(value)
        case {"type": "function", "function": {"name": str(name)}}:
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
            schema = fields.within("json_schema")
            found = Format(
                schema.object("schema") or {}, schema.text("name"), schema.flag("strict"), schema.text("description")
            )
            schema.done()
        case _:
            unsupported(fields.at("type"), f"`{kind[:40]}` has no counterpart")
    fields.done()
    return found
