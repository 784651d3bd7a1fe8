"""Translation between chat dialects: each is read into one conversation, answer or delta, and written from it.

`conversation` has the three; `chat`, `messages`, `responses` and `ollama` each read and write one wire format, once for
requests (`*_request`) and once for answers and streams (`*_answer`).  What a dialect cannot say is refused by its path or
noted, never dropped without a word: the table is in `dialects/README.md`.  `dialects.translate` is the way in.
"""
