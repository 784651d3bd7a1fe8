// Every call of `scripts/compat` with the Vercel AI SDK; `COMPAT_CLIENT` says whose API it is to speak.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import * as ai from "ai";

import { given, loaded, play, prompt } from "./seen.mjs";

const flavour = process.env.COMPAT_CLIENT.replace("vercel-", "");
// Its Anthropic provider wants the version in the address, unlike everybody else's.
const base = process.env.ANTHROPIC_BASE_URL;
const settings = flavour === "anthropic" && base ? { baseURL: `${base}/v1` } : {};

function model(name = given.model, apiKey = undefined) {
  const own = { ...settings, ...(apiKey ? { apiKey } : {}) };
  switch (flavour) {
    case "openai-responses": return createOpenAI(own)(name);
    case "openai-chat": return createOpenAI(own).chat(name);
    default: return createAnthropic(own)(name);
  }
}

const tools = Object.fromEntries(given.tools.map(({ name, description, parameters }) => [name, ai.tool({
  description, inputSchema: ai.jsonSchema(parameters), execute: async () => given.results[name],
})]));

const asked = (call, more = {}) => ({ model: model(), prompt: prompt(call), maxRetries: 0, ...more });

function seen({ text, finishReason, usage }) {
  return { text, finish: finishReason, usage: [usage.inputTokens, usage.outputTokens] };
}

const whole = async (call, more) => seen(await ai.generateText(asked(call, more)));

async function streamed(call, more) {
  let pieces = 0, failed = null;
  const stream = ai.streamText({ ...asked(call, more), onError: ({ error }) => { failed = error; } });
  for await (const part of stream.fullStream) if (part.type.endsWith("-delta")) pieces += 1;
  if (failed) throw failed;
  const [text, finishReason, usage, steps] = await Promise.all([stream.text, stream.finishReason, stream.usage, stream.steps]);
  return { ...seen({ text, finishReason, usage }), pieces, steps };
}

function played(found, steps) {
  const [first] = steps;
  const last = steps.at(-1);
  return {
    text: last.text, finish: last.finishReason, usage: [last.usage.inputTokens, last.usage.outputTokens],
    calls: first.toolCalls.map((call) => [call.toolName, call.input]), called: first.finishReason, pieces: found.pieces,
  };
}

const rounds = { tools, stopWhen: (ai.isStepCount ?? ai.stepCountIs)(3) };

await play({
  chat: () => whole("chat"),
  stream: async () => {
    const { steps, ...found } = await streamed("stream");
    return found;
  },
  tools: async () => {
    const found = await ai.generateText(asked("tools", rounds));
    return played({}, found.steps);
  },
  stream_tools: async () => {
    const found = await streamed("stream_tools", rounds);
    return played(found, found.steps);
  },
  structured: async () => {
    const found = await ai.generateText(asked("structured", { output: ai.Output.object({ schema: ai.jsonSchema(given.schema) }) }));
    return { parsed: found.output ?? loaded(found.text) };
  },
  images: () => whole("images", {
    prompt: undefined,
    messages: [{
      role: "user",
      content: [
        { type: "text", text: prompt("images") },
        { type: "image", image: given.picture, mediaType: "image/png" },
      ],
    }],
  }),
  embeddings: async () => {
    const found = await ai.embedMany({ model: createOpenAI(settings).embedding(given.model), values: given.texts, maxRetries: 0 });
    return { vectors: found.embeddings };
  },
  error_400: () => whole("error_400"),
  error_401: () => whole("error_401", { model: model(given.model, given.bad_key) }),
  error_404: () => whole("error_404", { model: model(given.missing) }),
  error_429: () => whole("error_429"),
  retries: () => whole("retries", { maxRetries: 2 }),
});
