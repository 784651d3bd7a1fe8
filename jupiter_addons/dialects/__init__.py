"""Wire formats, pure: bytes in, values out.

`call` has the canonical call and reply that the rest of the project speaks; `openai_chat` and `anthropic_messages` read
their dialect into it; `registry` is the table of both.  `strict` accepts only JSON with one reading, `sse` splits event
streams without changing a byte, `endpoints` is the allow-list of paths, `envelope` speaks refusals in each dialect, and
`models` lists models.  Nothing here knows of sockets, flows, policies or prices.
"""
