"""How long answers turn out to be: of each model the last few hundred, and what most of them stay below.

A stream is not held at its whole cap, which few ever reach: budgets would be full of what nobody will spend.  It is held at
what nearly all answers of its model come to, and takes more when it turns out to be one of the others.
"""

from collections import OrderedDict, deque

KEPT = 256
MODELS = 1024
FEWEST = 20
"""With fewer answers than that nothing can be said."""
FIRST_TOKENS = 512
"""What is taken to be usual of a model that has not answered often enough."""
SHARE = 0.95


class Sizes:
    """Output tokens of the latest answers, by model."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, deque[int]] = OrderedDict()

    def add(self, model: str, tokens: int) -> None:
        """Take in an answer that ended by itself."""
        kept = self._of.get(model)
        if kept is None:
            kept = self._of[model] = deque(maxlen=KEPT)
            if len(self._of) > MODELS:
                self._of.popitem(last=False)
        else:
            self._of.move_to_end(model)
        kept.append(tokens)

    def usual(self, model: str) -> int:
        """Return what 95 of 100 answers of a model stay below."""
        kept = self._of.get(model, ())
        if len(kept) < FEWEST:
            return FIRST_TOKENS
        return sorted(kept)[min(len(kept) - 1, int(len(kept) * SHARE))]
