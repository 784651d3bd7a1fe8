"""Who waits for a limit: a line that is fair to principals, whatever each of them sends at once.

Principals take turns; among the calls of one, the oldest is first.  Somebody with a hundred calls in the line and somebody with
one wait for as many turns as there are principals, not calls.  Nor can one of them fill the line: when it is full, who has most
calls in it loses the latest.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator


class Line[Ticket]:
    """Tickets that wait."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._turns: OrderedDict[str, deque[Ticket]] = OrderedDict()
        self._length = 0

    def join(self, principal: str, ticket: Ticket) -> Ticket | None:
        """Let a ticket wait; return the one that has no place any more, if too many do: it may be this one."""
        self._turns.setdefault(principal, deque()).append(ticket)
        self._length += 1
        if self._length <= self._most:
            return None
        whose = max(self._turns, key=lambda name: (len(self._turns[name]), name == principal))
        out = self._turns[whose][-1]
        self.leave(whose, out)
        return out

    @property
    def first(self) -> Ticket | None:
        """The ticket whose turn it is."""
        return next(iter(self._turns.values()))[0] if self._turns else None

    def leave(self, principal: str, ticket: Ticket) -> None:
        """Take a ticket out, wherever it stands; if it was the first, it is another principal's turn."""
        waiting = self._turns[principal]
        had_turn = self.first is ticket
        waiting.remove(ticket)
        self._length -= 1
        if not waiting:
            del self._turns[principal]
        elif had_turn:
            self._turns.move_to_end(principal)

    def __iter__(self) -> Iterator[tuple[str, Ticket]]:
        """Yield all that wait, each with its principal; nobody may join or leave meanwhile."""
        for principal, waiting in self._turns.items():
            for ticket in waiting:
                yield principal, ticket

    def __len__(self) -> int:
        """Return how many wait."""
        return self._length
