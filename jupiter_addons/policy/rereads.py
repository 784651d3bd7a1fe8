"""How often the same text is read when all that an expression finds is wanted.

A search for `x*y|x` in `xxxxxx` finds the first `x`, and has to read all others before it knows that no `y` comes.  The next
search begins behind that one `x` and reads the others again.  Each search is linear in the text, all of them together are not.

So texts are looked for in which many searches read on at the same place, each behind what it has found already.  All that can
come about is followed: where the current search stands, and where those stand that have found their last and do not know it
yet.  As long as there are few of them that is a closed world, so the answer is exact: either a text is met in which more than
MOST_READING_ON read the same character, or there is none.  Then a character is read once for each of them, once by the search
that finds something in it, and once backwards, when RE2 looks where that begins: it looks no farther back than to what was
found before.
"""

from collections.abc import Iterator
from typing import NamedTuple

from jupiter_addons.policy.automaton import Automaton, Context, State, TooLargeError
from jupiter_addons.policy.repeats import Repeat

MOST_READING_ON = 4
"""More read the same character again in no expression that is meant: of addresses and numbers one or two do."""
MOST_SITUATIONS = 10_000


class Situation(NamedTuple):
    """Where searches stand between two characters, by the numbers of their states."""

    current: int
    begins: bool
    """Whether the current search begins here."""
    reading_on: tuple[int, ...]
    """Searches that have found their last, and read on."""


class Rereads:
    """Looks for a text in which too many searches read on."""

    def __init__(self, automaton: Automaton) -> None:
        """`automaton` reads forwards, and all of its states have been found."""
        self._automaton = automaton
        self._kinds = range(len(automaton.kinds))
        self._states: list[State] = []
        self._numbers: dict[State, int] = {}
        self._steps: dict[tuple[int, int], tuple[bool, int | None]] = {}
        self.work = 0
        """The places and situations that were looked at."""

    def found(self) -> tuple[Repeat, ...] | None:
        """Return the repeats in which those stand who read the same character too often, the innermost first; None if
        there is no such text.

        Raises TooLargeError if there is no telling.
        """
        ends = sorted(filter(self._automaton.may_end, self._automaton.states), key=_place)
        starts = [Situation(self._number(state), False, ()) for state in ends]
        starts += [Situation(self._number(state), True, ()) for state in self._automaton.first_states]
        waiting = [later for start in starts for later in self._followed(start)]
        seen = set(waiting)
        while waiting:
            situation = waiting.pop()
            if len(situation.reading_on) > MOST_READING_ON:
                if self._can_be_read(situation.reading_on):
                    return self._repeats(situation.reading_on)
                continue
            if len(seen) > MOST_SITUATIONS:
                raise TooLargeError(self.work)
            new = set(self._followed(situation)) - seen
            seen |= new
            waiting += new
        return None

    def _can_be_read(self, reading_on: tuple[int, ...]) -> bool:
        """Whether there is a character that all of those read who are to have found their last, and a text behind it in
        which none of them finds more."""
        waiting = [reading_on]
        seen = {reading_on}
        while waiting:
            if len(seen) > MOST_SITUATIONS:
                raise TooLargeError(self.work)
            standing = waiting.pop()
            self.work += len(self._kinds)
            for kind in self._kinds:
                left = self._left(standing, kind)
                if left is None:
                    continue
                if not any(self._automaton.ends(self._states[number]) for number in left):
                    return True
                later = tuple(sorted(set(left)))
                if later not in seen:
                    seen.add(later)
                    waiting.append(later)
        return False

    def _followed(self, situation: Situation) -> Iterator[Situation]:
        """Yield the situations one character later in which searches read on."""
        self.work += len(self._kinds)
        for kind in self._kinds:
            left = self._left(situation.reading_on, kind)
            if left is None:
                continue
            for current, begins, more in self._moves(situation.current, situation.begins, kind):
                if left or more:
                    yield Situation(current, begins, tuple(sorted((*left, *more))))

    def _left(self, reading_on: tuple[int, ...], kind: int) -> list[int] | None:
        """Return who still reads on behind a character; None if one finds more there, and so had not found its last."""
        left: list[int] = []
        for number in reading_on:
            found, behind = self._step(number, kind)
            if found:
                return None
            if behind is not None:
                left.append(behind)
        return left

    def _moves(self, current: int, begins: bool, kind: int) -> Iterator[tuple[int, bool, tuple[int, ...]]]:
        """Yield where the current search can stand behind a character, whether it begins there, and who has found its last."""
        found, behind = self._step(current, kind)
        if behind is not None:
            yield behind, False, ()
        if not found:
            return
        more = () if behind is None else (behind,)
        if begins:  # what is empty was found, and the next search begins a character later
            yield self._first(self._automaton.kinds[kind][0]), True, more
            return
        for later, begins_later, others in self._moves(self._first(self._states[current][1]), True, kind):
            yield later, begins_later, (*more, *others)

    def _step(self, number: int, kind: int) -> tuple[bool, int | None]:
        known = self._steps.get((number, kind))
        if known is None:
            state = self._states[number]
            self.work += len(state[0]) + 1
            found, behind = self._automaton.step(state, self._automaton.kinds[kind])
            known = self._steps[number, kind] = found, None if behind is None else self._number(behind)
        return known

    def _first(self, before: Context) -> int:
        return self._number(self._automaton.first(before))

    def _number(self, state: State) -> int:
        number = self._numbers.get(state)
        if number is None:
            number = self._numbers[state] = len(self._states)
            self._states.append(state)
        return number

    def _repeats(self, reading_on: tuple[int, ...]) -> tuple[Repeat, ...]:
        places = [place for number in reading_on for place in self._states[number][0]]
        return tuple(dict.fromkeys(repeat for place in places for repeat in self._automaton.repeats_at(place)))


def _place(state: State) -> tuple[tuple[int, ...], str]:
    """Return where a state stands among others, so that each time the same part of an expression is named."""
    return state[0], state[1] or ""
