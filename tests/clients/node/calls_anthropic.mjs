// Every call of `scripts/compat` with the official Anthropic SDK for Node.
import Anthropic from "@anthropic-ai/sdk";

import { TIMEOUT_MS, given, loaded, play, prompt } from "./seen.mjs";

const client = new Anthropic({ maxRetries: 0, timeout: TIMEOUT_MS });
const ask = { model: given.model, max_tokens: 64 };
const tools = given.tools.map(({ name, description, parameters }) => ({ name, description, input_schema: parameters }));
const asked = (call) => [{ role: "user", content: prompt(call) }];

function seen(found) {
  const calls = found.content.filter((block) => block.type === "tool_use");
  return {
    text: found.content.filter((block) => block.type === "text").map((block) => block.text).join(""),
    finish: found.stop_reason, usage: [found.usage.input_tokens, found.usage.output_tokens],
    calls: calls.map((call) => [call.name, call.input]), content: found.content,
  };
}

const whole = async (messages, more = {}, by = client) => seen(await by.messages.create({ ...ask, messages, ...more }));

async function streamed(messages, more = {}) {
  let pieces = 0;
  const stream = client.messages.stream({ ...ask, messages, ...more });
  stream.on("streamEvent", (event) => { if (event.type === "content_block_delta") pieces += 1; });
  return { ...seen(await stream.finalMessage()), pieces };
}

async function withTools(call, way) {
  const first = await way(asked(call), { tools });
  const content = first.content.filter((block) => block.type === "tool_use")
    .map(({ id, name, input }) => ({ type: "tool_use", id, name, input }));
  const results = content.map(({ id, name }) => ({ type: "tool_result", tool_use_id: id, content: given.results[name] }));
  const turns = [{ role: "assistant", content }, { role: "user", content: results }];
  const last = await way([...asked(call), ...turns], { tools });
  const pieces = Math.min(first.pieces ?? 0, last.pieces ?? 0);
  return { ...last, calls: first.calls, called: first.finish, pieces };
}

await play({
  chat: () => whole(asked("chat")),
  stream: () => streamed(asked("stream")),
  tools: () => withTools("tools", whole),
  stream_tools: () => withTools("stream_tools", streamed),
  structured: async () => {
    const output_config = { format: { type: "json_schema", schema: given.schema } };
    const found = await client.messages.create({ ...ask, messages: asked("structured"), output_config });
    return { parsed: loaded(found.content[0].text) };
  },
  images: () => whole([{
    role: "user",
    content: [
      { type: "image", source: { type: "base64", media_type: "image/png", data: given.picture } },
      { type: "text", text: prompt("images") },
    ],
  }]),
  error_400: () => whole(asked("error_400")),
  error_401: () => whole(asked("error_401"), {}, new Anthropic({ maxRetries: 0, apiKey: given.bad_key })),
  error_404: () => whole(asked("error_404"), { model: given.missing }),
  error_429: () => whole(asked("error_429")),
  retries: () => whole(asked("retries"), {}, new Anthropic({ maxRetries: 2, timeout: TIMEOUT_MS })),
});
