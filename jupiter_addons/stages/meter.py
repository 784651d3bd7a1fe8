"""What a stream may still say: it is held for a little more than it has said, takes more as it goes on, and ends when there is
no more to be had.

Counted by ourselves, because most providers tell what was used only at the end.  A store that answers later is asked before
the hold is spent; what the stream says until the answer comes is not stopped.
"""

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Sequence

from jupiter_addons.dialects.call import Call
from jupiter_addons.enrichment.describe import Profile, hold_of
from jupiter_addons.enrichment.fees import fees_held
from jupiter_addons.enrichment.prices import Price
from jupiter_addons.errors import StoreError
from jupiter_addons.limits.ledger import Exceeded, Ledger, Reservation
from jupiter_addons.limits.limit import Amounts
from jupiter_addons.limits.store import MAX_AMOUNT, Soon, come
from jupiter_addons.units import NanoUsdPerMillion, cost

logger = logging.getLogger("jupiter.limits")

STEP_TOKENS = 256
"""How much more is taken at a time."""
AHEAD_TOKENS = 64
"""So much before the hold is spent, more is asked for."""


def held_at_first(ledger: Ledger, profile: Profile, call: Call, price: Price | None) -> Amounts:
    """Return what a call of a model is held at: its worst case, or, if it is a stream, what nearly all of them come to.

    A stream that is passed on as it comes has no meter, and so is held at its worst case too.
    """
    out = profile.output_tokens_max
    if call.stream and call.dialect != "passthrough":
        out = min(out, ledger.sizes.usual(call.model) * call.n)
    hold = hold_of(profile.input_tokens_upper, out, price) + fees_held(call, price) if price is not None else 0
    return Amounts(min(profile.input_tokens_upper, MAX_AMOUNT), min(out, MAX_AMOUNT), min(hold, MAX_AMOUNT))


class Meter:
    """The holds of one stream."""

    def __init__(
        self, ledger: Ledger, holds: Sequence[Reservation], price: NanoUsdPerMillion, *, spared: str | None = None
    ) -> None:
        """`holds` are the call's own, and its provider's if that is another than it was reserved for; `price` is that of its
        output; `spared` the subject of a provider that it was reserved for and that does not answer it.
        """
        self._ledger = ledger
        self._holds = tuple(holds)
        self._price = price
        self._instead = {} if spared is None else {spared: Amounts(requests=0)}
        self._asking = self._closed = False
        self.spent: str | None = None
        """The name of the limit that gives no more, or `store` if that does not answer; None if nothing has run out."""

    @property
    def held_tokens(self) -> int:
        """How much output is held for the stream."""
        return min(held.amounts.output_tokens for held in self._holds)

    def allows(self, tokens: int) -> bool:
        """Whether a stream that has said so much may go on."""
        if tokens + AHEAD_TOKENS > self.held_tokens and not self._asking and self.spent is None:
            self._ask(max(STEP_TOKENS, tokens + STEP_TOKENS - self.held_tokens))
        return tokens < self.held_tokens or self._asking

    def close(self) -> None:
        """Ask for no more: the call is being settled."""
        self._closed = True

    def _ask(self, tokens: int) -> None:
        if self._closed:
            return
        more = Amounts(0, tokens, cost(tokens, self._price), requests=0)
        try:
            answers = [self._ledger.extend(held, more, instead=self._instead) for held in self._holds]
        except StoreError as error:
            self._failed(error)
            return
        if all(isinstance(answer, Reservation | Exceeded) for answer in answers):
            self._take(answer for answer in answers if isinstance(answer, Reservation | Exceeded))
            return
        self._asking = True
        self._task = asyncio.ensure_future(self._wait(answers))

    async def _wait(self, answers: Iterable[Soon[Reservation | Exceeded]]) -> None:
        try:
            coming: list[Awaitable[Reservation | Exceeded]] = [come(answer) for answer in answers]
            self._take(await asyncio.gather(*coming))
        except StoreError as error:
            self._failed(error)
        finally:
            self._asking = False

    def _take(self, answers: Iterable[Reservation | Exceeded]) -> None:
        holds = list(self._holds)
        for number, answer in enumerate(answers):
            if isinstance(answer, Reservation):
                holds[number] = answer
            else:
                self.spent = answer.limit.name
        self._holds = tuple(holds)

    def _failed(self, error: StoreError) -> None:
        self.spent = "store"
        logger.warning("a stream ends at what is held for it: %s", error)
