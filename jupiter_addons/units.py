"""Units of measure, so that a number says what it counts.

Money is an integer number of nano-dollars (10^-9 USD) and never a float: per-token prices are not whole micro-dollars,
and sums of floats drift.  Prices are nano-dollars per *million* tokens, because $0.0375 per million is not a whole
number of nano-dollars per token.
"""

from typing import NewType

NanoUsd = NewType("NanoUsd", int)
"""10^-9 US dollars."""

NanoUsdPerMillion = NewType("NanoUsdPerMillion", int)
"""The price of one million tokens, in nano-dollars."""

NANO_PER_USD = 1_000_000_000


def cost(tokens: int, price: NanoUsdPerMillion) -> NanoUsd:
    """Return the price of `tokens`, rounded up to a whole nano-dollar once.

    Rounding up is the safe side: a charge is never below the true cost, and above it by less than one nano-dollar.
    """
    return NanoUsd(-(-tokens * price // 1_000_000))


_SPANS = {1: "second", 60: "minute", 3600: "hour", 86_400: "day", 604_800: "week"}
_LONG = ((86_400, "days"), (3600, "hours"), (60, "minutes"))


def span(seconds: int) -> str:
    """Say how long that is, as it stands behind “per”: `minute`, `2 hours`, `30 days`, `90 s`."""
    if seconds in _SPANS:
        return _SPANS[seconds]
    return next((f"{seconds // one} {name}" for one, name in _LONG if seconds % one == 0), f"{seconds} s")


def usd(amount: NanoUsd) -> str:
    """Print an amount in dollars with all its significant digits: `0.000210`, at least six decimals."""
    sign, amount_abs = ("-", -amount) if amount < 0 else ("", amount)
    whole, nano = divmod(amount_abs, NANO_PER_USD)
    decimals = f"{nano:09d}"
    return f"{sign}{whole}.{decimals[:6]}{decimals[6:].rstrip('0')}"
