// Drive the official OpenAI SDK for Node, configured by its environment only, and print what it saw as one JSON line.
import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 2 });
const messages = [{ role: "user", content: "hello" }];

const whole = await client.chat.completions.create({ model: "rehearsal-1", messages });
const stream = await client.chat.completions.create({
  model: "rehearsal-1", messages, stream: true, stream_options: { include_usage: true },
});
let streamed = "", usage = null;
for await (const chunk of stream) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}
let refused = null;
try {
  await client.chat.completions.create({ model: "nobody-has-this", messages });
} catch (error) {
  refused = [error.constructor.name, error.status, error.code];
}
console.log(JSON.stringify({
  text: whole.choices[0].message.content, tokens: whole.usage.total_tokens,
  streamed, streamed_tokens: usage.total_tokens, refused,
}));
