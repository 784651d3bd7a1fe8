// Every call of `scripts/compat` with the official OpenAI SDK for Node and chat completions.
import OpenAI from "openai";

import { TIMEOUT_MS, given, loaded, play, prompt } from "./seen.mjs";

const client = new OpenAI({ maxRetries: 0, timeout: TIMEOUT_MS });
const model = given.model;
const tools = given.tools.map((tool) => ({ type: "function", function: tool }));
const asked = (call) => [{ role: "user", content: prompt(call) }];

function seen(text, finish, usage, calls) {
  return {
    text, finish, made: calls, usage: usage ? [usage.prompt_tokens, usage.completion_tokens] : null,
    calls: calls.map((call) => [call.function.name, loaded(call.function.arguments)]),
  };
}

async function whole(messages, more = {}, by = client) {
  const found = await by.chat.completions.create({ model, messages, ...more });
  const { message, finish_reason } = found.choices[0];
  return seen(message.content, finish_reason, found.usage, message.tool_calls ?? []);
}

async function streamed(messages, more = {}) {
  let text = "", finish = null, usage = null, pieces = 0;
  const calls = [];
  const stream = await client.chat.completions.create({
    model, messages, stream: true, stream_options: { include_usage: true }, ...more,
  });
  for await (const chunk of stream) {
    usage = chunk.usage ?? usage;
    for (const { delta, finish_reason } of chunk.choices) {
      finish = finish_reason ?? finish;
      text += delta.content ?? "";
      if (delta.content) pieces += 1;
      for (const call of delta.tool_calls ?? []) {
        calls[call.index] ??= { id: call.id, type: "function", function: { name: call.function.name, arguments: "" } };
        calls[call.index].function.arguments += call.function.arguments ?? "";
        pieces += 1;
      }
    }
  }
  return { ...seen(text, finish, usage, calls), pieces };
}

async function withTools(call, way) {
  const first = await way(asked(call), { tools });
  const results = first.made.map((one) => ({
    role: "tool", tool_call_id: one.id, content: given.results[one.function.name],
  }));
  const turn = { role: "assistant", content: null, tool_calls: first.made };
  const last = await way([...asked(call), turn, ...results], { tools });
  const pieces = Math.min(first.pieces ?? 0, last.pieces ?? 0);
  return { ...last, calls: first.calls, called: first.finish, pieces };
}

const completions = client.chat.completions.parse ? client.chat.completions : client.beta.chat.completions;

await play({
  chat: () => whole(asked("chat")),
  stream: () => streamed(asked("stream")),
  tools: () => withTools("tools", whole),
  stream_tools: () => withTools("stream_tools", streamed),
  structured: async () => {
    const json_schema = { name: "city", strict: true, schema: given.schema };
    const found = await completions.parse({
      model, messages: asked("structured"), response_format: { type: "json_schema", json_schema },
    });
    return { parsed: found.choices[0].message.parsed ?? loaded(found.choices[0].message.content) };
  },
  images: () => whole([{
    role: "user",
    content: [
      { type: "text", text: prompt("images") },
      { type: "image_url", image_url: { url: `data:image/png;base64,${given.picture}` } },
    ],
  }]),
  embeddings: async () => {
    const found = await client.embeddings.create({ model, input: given.texts });
    return { vectors: found.data.map((one) => Array.from(one.embedding)) };
  },
  error_400: () => whole(asked("error_400")),
  error_401: () => whole(asked("error_401"), {}, new OpenAI({ maxRetries: 0, apiKey: given.bad_key })),
  error_404: () => whole(asked("error_404"), { model: given.missing }),
  error_429: () => whole(asked("error_429")),
  retries: () => whole(asked("retries"), {}, new OpenAI({ maxRetries: 2, timeout: TIMEOUT_MS })),
});
