// Drive the official Anthropic SDK for Node, configured by its environment only, and print what it saw as one JSON line.
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ maxRetries: 2 });
const ask = { model: "rehearsal-1", max_tokens: 64, messages: [{ role: "user", content: "hello" }] };

const whole = await client.messages.create(ask);
const stream = client.messages.stream(ask);
let streamed = "";
stream.on("text", (text) => { streamed += text; });
const final = await stream.finalMessage();
let refused = null;
try {
  await client.messages.create({ ...ask, model: "nobody-has-this" });
} catch (error) {
  refused = [error.constructor.name, error.status];
}
console.log(JSON.stringify({
  text: whole.content[0].text, tokens: whole.usage.input_tokens + whole.usage.output_tokens,
  streamed, streamed_tokens: final.usage.input_tokens + final.usage.output_tokens, refused,
}));
