// What the Node programs of `scripts/compat` have in common; ../seen.py says what they print.
export const given = JSON.parse(process.env.COMPAT);
export const TIMEOUT_MS = 30_000;

export const prompt = (call) => given.prompts[call];

export function loaded(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function described(error) {
  const classes = [error.name];
  for (let one = Object.getPrototypeOf(error); one?.constructor !== Object; one = Object.getPrototypeOf(one)) {
    classes.push(one.constructor.name);
  }
  const found = { classes, message: String(error.message).slice(0, 400) };
  const status = error.status ?? error.statusCode;
  if (status !== undefined) found.status = status;
  const headers = error.headers ?? error.responseHeaders;
  if (headers) found.retry_after = (headers.get ? headers.get("retry-after") : headers["retry-after"]) ?? null;
  return found;
}

export async function play(calls) {
  for (const call of given.run) {
    if (!(call in calls)) {
      console.error(`no call ${call} in this program`);
      continue;
    }
    let found;
    try {
      found = await calls[call]();
    } catch (error) {
      found = { error: described(error) };
      if (process.env.COMPAT_TRACE) console.error(error);
    }
    console.log(`{"call":${JSON.stringify(call)},${JSON.stringify(found).slice(1)}`);
  }
}
