"""Random conversations and answers, within what a dialect can say."""

from hypothesis import strategies as st

from jupiter_addons.dialects.call import DialectName, Usage
from jupiter_addons.dialects.translation.conversation import (
    Answer,
    Conversation,
    Declined,
    Document,
    Format,
    Image,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)

WORDS = st.text(min_size=1, max_size=12).filter(lambda text: "\x00" not in text)
NAMES = st.text("abc_1", min_size=1, max_size=6)
VALUES = st.dictionaries(NAMES, st.integers(-(2**70), 2**70) | WORDS | st.booleans(), max_size=3)
ARGUMENTS = st.sampled_from(
    ['{"city":"Paris"}', "{}", '{"n":123456789012345678901,"deep":{"x":[1,2.5,null]}}', '{"é":"☃"}']
)
DATA = st.sampled_from(["AAAA", "iVBORw0KGgo="])
MARKS = st.none() | st.just({"type": "ephemeral"})
SCHEMAS = st.fixed_dictionaries(
    {"type": st.just("object"), "properties": st.dictionaries(NAMES, st.just({"type": "string"}))}
)


def maybe(strategy):
    return st.none() | strategy


def texts(marks=False):
    return st.builds(Text, WORDS, MARKS) if marks else st.builds(Text, WORDS)


def images(marks=False, details=False, urls=True):
    cache = MARKS if marks else st.none()
    by_value = st.builds(Image, DATA, st.sampled_from(["image/png", "image/jpeg"]), st.none(), st.none(), cache)
    by_url = st.builds(Image, st.none(), st.none(), st.just("https://example.com/a.png"), st.none(), cache)
    both = by_value | by_url if urls else by_value
    if not details:
        return both
    detailed = st.builds(Image, DATA, st.just("image/png"), st.none(), st.sampled_from(["low", "high"]))
    return both | detailed


def documents(name=True):
    return st.builds(Document, DATA, st.just("application/pdf"), st.none(), st.just("a.pdf") if name else st.none())


def several(strategy, most=3):
    return st.lists(strategy, min_size=1, max_size=most).map(tuple)


def calls(draw, prefix, most=3):
    count = draw(st.integers(0, most))
    return tuple(ToolCall(f"{prefix}_{i}", draw(NAMES), draw(ARGUMENTS)) for i in range(count))


def detailed(part):
    """Return a picture as responses has it, where the detail is always said."""
    return Image(part.data, part.media_type, part.url, part.detail or "auto", part.cache)


USAGES = st.builds(
    lambda plain, read, written, out, thought: Usage(plain + read + written, out + thought, read, written, thought),
    *[st.integers(0, 10**6)] * 5,
)
SEALED = st.builds(Thinking, WORDS, st.just("c2ln"), st.just("anthropic"))
REDACTED = st.just(Thinking("", "ZGF0YQ==", "anthropic", redacted=True))
OPENAI_SEALED = st.builds(Thinking, WORDS, st.just("ZW5j"), st.just("openai"), st.just(False), st.just("rs_1"))

SAYS: dict[DialectName, dict] = {
    "openai_chat": {
        "system": texts(),
        "user": texts() | images(details=True) | documents(),
        "answer": st.tuples(texts()) | st.tuples(st.builds(Declined, WORDS)),
        "result": texts(),
        "late_system": True,
        "fields": {
            "max_tokens": maybe(st.integers(1, 10**6)),
            "temperature": maybe(st.floats(0, 2)),
            "top_p": maybe(st.floats(0, 1)),
            "seed": maybe(st.integers(0, 2**53)),
            "presence_penalty": maybe(st.floats(0.1, 2)),
            "frequency_penalty": maybe(st.floats(0.1, 2)),
            "logit_bias": maybe(st.just({"50256": -100})),
            "stop": st.lists(WORDS, max_size=4).map(tuple),
            "n": st.integers(1, 4),
            "logprobs": st.booleans(),
            "top_logprobs": maybe(st.integers(0, 20)),
            "user": maybe(WORDS),
            "format": maybe(st.builds(Format, SCHEMAS, NAMES, maybe(st.booleans()), maybe(WORDS)) | st.just(Format())),
            "reasoning": maybe(st.sampled_from(["minimal", "low", "high"]).map(lambda effort: Reasoning(True, effort))),
            "openai": st.dictionaries(st.sampled_from(["store", "metadata", "prompt_cache_key"]), WORDS),
        },
        "tool": st.builds(Tool, NAMES, maybe(WORDS), maybe(SCHEMAS), maybe(st.booleans())),
        "choices": ["auto", "none", "required"],
    },
    "anthropic_messages": {
        "system": texts(marks=True),
        "user": texts(marks=True) | images(marks=True) | documents(),
        "answer": st.tuples(texts(marks=True)) | st.tuples(SEALED, texts()) | st.tuples(SEALED, REDACTED, texts()),
        "result": texts() | images(),
        "errors": True,
        "fields": {
            "max_tokens": st.integers(1, 10**6),
            "temperature": maybe(st.floats(0, 1)),
            "top_p": maybe(st.floats(0, 1)),
            "top_k": maybe(st.integers(1, 100)),
            "stop": st.lists(WORDS, max_size=4).map(tuple),
            "user": maybe(WORDS),
            "format": maybe(st.builds(Format, SCHEMAS, st.none(), st.just(True))),
            "reasoning": maybe(
                st.builds(
                    Reasoning, st.just(True), maybe(st.sampled_from(["low", "max"])), st.none(), maybe(st.booleans())
                )
                | st.builds(Reasoning, st.just(True), st.none(), st.integers(1024, 30000))
                | st.just(Reasoning(False))
            ),
        },
        "tool": st.builds(Tool, NAMES, maybe(WORDS), SCHEMAS, maybe(st.booleans()), MARKS),
        "choices": ["auto", "none", "required"],
    },
    "openai_responses": {
        "system": texts(),
        "user": texts()
        | images(details=True).map(detailed)
        | documents()
        | st.just(Document(url="https://example.com/a.pdf")),
        "answer": st.tuples(texts()) | st.tuples(OPENAI_SEALED, texts()),
        "result": texts() | images().map(detailed),
        "late_system": True,
        "fields": {
            "max_tokens": maybe(st.integers(16, 10**6)),
            "temperature": maybe(st.floats(0, 2)),
            "top_p": maybe(st.floats(0, 1)),
            "logprobs": st.booleans(),
            "top_logprobs": maybe(st.integers(0, 20)),
            "user": maybe(WORDS),
            "format": maybe(st.builds(Format, SCHEMAS, NAMES, maybe(st.booleans()), maybe(WORDS)) | st.just(Format())),
            "reasoning": maybe(
                st.sampled_from([Reasoning(True, "low"), Reasoning(False, "none"), Reasoning(True, "high", shown=True)])
            ),
            "openai": st.fixed_dictionaries(
                {"store": st.booleans()}, optional={"metadata": st.just({}), "verbosity": st.just("low")}
            ),
        },
        "tool": st.builds(Tool, NAMES, maybe(WORDS), maybe(SCHEMAS), st.booleans()),
        "choices": ["auto", "none", "required"],
    },
    "ollama_chat": {
        "system": texts(),
        "system_parts": 1,
        "user": texts(),
        "user_pictures": True,
        "user_parts": 1,
        "answer": st.tuples(texts()) | st.tuples(st.builds(Thinking, WORDS), texts()),
        "result": texts(),
        "result_parts": 1,
        "late_system": True,
        "parallel": False,
        "fields": {
            "max_tokens": maybe(st.integers(1, 10**6)),
            "temperature": maybe(st.floats(0, 2)),
            "top_p": maybe(st.floats(0, 1)),
            "top_k": maybe(st.integers(1, 100)),
            "seed": maybe(st.integers(0, 2**53)),
            "presence_penalty": maybe(st.floats(0.1, 2)),
            "frequency_penalty": maybe(st.floats(0.1, 2)),
            "stop": st.lists(WORDS, max_size=4).map(tuple),
            "logprobs": st.booleans(),
            "top_logprobs": maybe(st.integers(0, 20)),
            "format": maybe(st.builds(Format, SCHEMAS) | st.just(Format())),
            "reasoning": maybe(st.sampled_from([Reasoning(True), Reasoning(False)])),
        },
        "tool": st.builds(Tool, NAMES, maybe(WORDS), maybe(SCHEMAS)),
        "choices": [],
    },
}
SAYS["openai_completions"] = {
    **SAYS["ollama_chat"],
    "system": None,
    "turns": 0,
    "late_system": False,
    "user_pictures": False,
    "tool": st.nothing(),
    "fields": {
        name: SAYS["openai_chat"]["fields"][name]
        for name in (
            "max_tokens",
            "temperature",
            "top_p",
            "seed",
            "presence_penalty",
            "logit_bias",
            "stop",
            "n",
            "user",
        )
    }
    | {"raw": st.just(True)},
}
SAYS["ollama_generate"] = {**SAYS["ollama_chat"], "turns": 0, "late_system": False, "tool": st.nothing()}
PICTURES = st.builds(Image, st.just("iVBORw0KGgo="), st.just("image/png")) | st.builds(
    Image, st.just("/9j/AA=="), st.just("image/jpeg")
)


@st.composite
def conversations(draw, dialect: DialectName) -> Conversation:
    """Return a conversation that the dialect can say without a note."""
    says = SAYS[dialect]
    turns: list[Turn] = []
    if says["system"] is not None and draw(st.booleans()):
        turns.append(Turn("system", draw(several(says["system"], says.get("system_parts", 3)))))
    for number in range(draw(st.integers(0, says.get("turns", 4)))):
        turns.append(_user(draw, says))
        made = calls(draw, f"call_{number}")
        turns.append(Turn("assistant", (*draw(says["answer"]), *made)))
        if made:
            results = [
                ToolResult(
                    call.id,
                    draw(several(says["result"], says.get("result_parts", 2))),
                    says.get("errors", False) and draw(st.booleans()),
                )
                for call in made
            ]
            turns.append(Turn("tool", tuple(results)))
        if says.get("late_system") and draw(st.booleans()):
            turns.append(Turn("system", draw(several(says["system"], says.get("system_parts", 3)))))
    turns.append(_user(draw, says))
    tools = (
        ()
        if says["tool"].is_empty
        else draw(st.lists(says["tool"], max_size=3, unique_by=lambda tool: tool.name).map(tuple))
    )
    choice = None
    if tools and says["choices"]:
        choice = draw(
            maybe(st.sampled_from(says["choices"]).map(ToolChoice) | st.just(ToolChoice("tool", tools[0].name)))
        )
    parallel = None
    if tools and says.get("parallel", True) and (choice is None or choice.mode != "none"):
        parallel = draw(maybe(st.booleans()))
    if dialect == "anthropic_messages" and choice is None and parallel is not None:
        choice = ToolChoice("auto")
    return Conversation(
        model=draw(NAMES),
        turns=tuple(turns),
        stream=draw(st.booleans()),
        tools=tools,
        tool_choice=choice,
        parallel_tools=parallel,
        **{name: draw(strategy) for name, strategy in says["fields"].items()},
    )


def _user(draw, says) -> Turn:
    parts = draw(several(says["user"], says.get("user_parts", 3)))
    if says.get("user_pictures"):
        parts += draw(st.lists(PICTURES, max_size=2).map(tuple))
    return Turn("user", parts)


ANSWERS: dict[DialectName, dict] = {
    "openai_chat": {
        "thinking": st.none() | st.builds(Thinking, WORDS) | SEALED | OPENAI_SEALED,
        "stops": ["end", "length", "refused"],
    },
    "anthropic_messages": {
        "thinking": st.none() | st.builds(Thinking, WORDS) | SEALED | REDACTED | OPENAI_SEALED,
        "stops": ["end", "length", "refused", "sequence", "context"],
    },
    "openai_responses": {
        "thinking": st.none() | st.builds(Thinking, WORDS) | SEALED | REDACTED | OPENAI_SEALED,
        "stops": ["end", "length", "refused"],
    },
    "ollama_chat": {
        "thinking": st.none() | st.builds(Thinking, WORDS),
        "stops": ["end", "length", "refused"],
        "usage": st.builds(Usage, st.integers(0, 10**6), st.integers(0, 10**6)),
        "id": None,
    },
}
ANSWERS["openai_completions"] = {"thinking": st.none(), "stops": ["end", "length", "refused"], "calls": 0}
ANSWERS["ollama_generate"] = {**ANSWERS["ollama_chat"], "calls": 0}


@st.composite
def answers(draw, dialect: DialectName) -> Answer:
    """Return an answer that the dialect can say."""
    says = ANSWERS[dialect]
    thinking = draw(says["thinking"])
    text = draw(maybe(WORDS))
    made = calls(draw, "call", says.get("calls", 3))
    parts = (*(() if thinking is None else (thinking,)), *(() if text is None else (Text(text),)), *made)
    stop = "tool" if made else draw(st.sampled_from(says["stops"]))
    sequence = draw(WORDS) if stop == "sequence" else None
    return Answer(
        says.get("id", "id-1"),
        draw(NAMES),
        parts,
        stop,
        sequence,
        draw(USAGES if says.get("usage") is None else says["usage"]),
    )
