"""How long the prose would be that comes to as many tokens.

The counts are those of cl100k_base and o200k_base, the larger of the two, of exactly these texts.
"""

import base64
import hashlib
import json
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.dialects.density import BLOCK, PROSE_BYTES_PER_TOKEN, prose_bytes

PROSE = (
    "The quick brown fox jumps over the lazy dog. Limits and budgets are exact, atomic and able to stop a running stream; "
    "nobody overspends however many calls run at once. "
)
_BYTES = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(90))

COUNTED = {
    "German": ("Die Grenzen gelten für jeden Aufruf, bevor er gesendet wird; was zu viel gehalten wurde, kommt zurück. ", 28),
    "Russian": ("Ограничения проверяются до отправки запроса, а лишнее возвращается после. ", 28),  # noqa: RUF001 - as it is written
    "Chinese": ("在发送请求之前会检查所有限制，只有在知道实际花费之后才会归还多余的部分，因此无论同时运行多少个调用都不会超支。", 55),  # noqa: RUF001 - as it is written
    "Japanese": ("リクエストが送信される前にすべての制限が確認され、実際の費用が判明した後に余分な分が返却されます。", 52),
    "Korean": ("요청이 전송되기 전에 모든 한도가 확인되며 실제 비용이 알려진 후에 남은 금액이 반환됩니다.", 45),
    "Hebrew": ("כל המגבלות נבדקות לפני שליחת הבקשה, והעודף מוחזר לאחר שידועה העלות האמיתית של הקריאה.", 82),
    "Georgian": ("მოთხოვნის გაგზავნამდე ყველა ლიმიტი მოწმდება", 82),
    "emoji": ("😀🎉🚀🔥💡🙈🧩🦊🪐🧵" * 3, 84),
    "base64": (base64.b64encode(_BYTES).decode(), 2760),
    "hexadecimal": (_BYTES.hex(), 3305),
    "JSON": (json.dumps([{"id": n, "name": f"user{n}", "ok": True, "v": [n * 7 % 13, n * 1.5]} for n in range(80)]), 2322),
}  # fmt: skip
"""Text -> its tokens."""


@given(st.integers(1, 400))
def test_prose_is_as_long_as_it_is(words: int):
    text = " ".join((PROSE * 40).split()[:words])
    assert prose_bytes(text) == len(text)


@pytest.mark.parametrize(("text", "tokens"), COUNTED.values(), ids=COUNTED)
def test_what_is_no_prose_comes_to_about_as_many_tokens_as_it_has(text: str, tokens: int):
    assert 0.8 <= prose_bytes(text) / PROSE_BYTES_PER_TOKEN / tokens <= 1.6


def test_what_is_dense_is_found_inside_of_what_is_not():
    hidden = COUNTED["base64"][0]
    assert prose_bytes(PROSE * 20 + hidden + PROSE * 20) > 0.8 * (prose_bytes(PROSE * 40) + prose_bytes(hidden))


@given(st.text())
def test_no_text_is_less_than_its_characters_nor_more_than_any_tokenizer_makes_of_it(text: str):
    assert len(text) <= prose_bytes(text) <= PROSE_BYTES_PER_TOKEN * len(text.encode("utf-8", "replace"))


def test_long_texts_cost_little():
    text = "".join(random.Random(3).choices("abc äöü 在发 12 {}", k=500 * BLOCK))
    began_s = time.process_time()
    prose_bytes(text)
    assert time.process_time() - began_s < 0.5
