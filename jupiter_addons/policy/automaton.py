"""How large the automaton of an expression becomes, found by building it.

RE2 makes states while it reads a text, keeps them, and is as fast as its promise while they fit.  A state is the list of
places in the expression where a search may stand at once, and a search for `a.{50}z` can stand at any selection of fifty
places: no memory holds them all, and RE2 falls back to work that is a thousand times as slow.  So the states that any text
can lead to are counted before an expression is used, up to a bound.

Characters that no part of the expression tells apart are taken together.  States are made as RE2's are:

forwards    a search begins at every character; places are kept in the order of preference, and cut off behind a match
backwards   the same from the end of the text; places are kept as a set, and what is found does not end it
origin      from the end of a match backwards, to find where it begins; places are kept as a set
"""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Literal

from jupiter_addons.policy.alphabet import Alphabet, inner_states
from jupiter_addons.policy.repeats import Assertion, Atom, Choice, Kind, Repeat, Sequence, Tree

MOST_STATES = 2000
"""With more, a text that leads to all of them takes more than twice as long as any other: they leave the cache of the CPU."""
MOST_INNER_STATES = 20_000
"""States that are met within characters of several bytes: few texts are made to lead to all of them, so there may be more."""
MOST_PLACES = 150_000

type Direction = Literal["forwards", "backwards", "origin"]
type Context = Literal["word", "line", "other"] | None
"""What stands before or behind a place, as far as assertions ask: None is the end of the text."""
type State = tuple[tuple[int, ...], Context]
type CharacterKind = tuple[Context, int]
"""What characters are alike: what assertions ask of them, and the places that take them, as bits."""


class TooLargeError(Exception):
    """An automaton has more states than are allowed, or more places in them."""

    def __init__(self, work: int) -> None:
        super().__init__(work)
        self.work = work
        """The places that were looked at."""


class _Program:
    """The places of an expression, written from its end: each knows where to go on, by preference."""

    END = 0

    def __init__(self, tree: Tree, backwards: bool) -> None:
        self._backwards = backwards
        self.atoms: dict[int, Atom] = {}
        self.assertions: dict[int, Kind] = {}
        self.repeats: list[tuple[Repeat, int, int]] = []
        """Each repeat, and the places that were written for it: from, to."""
        self._following: list[tuple[int, ...]] = [(), ()]
        self.start = self._write(tree, self.END)

    def leaves(self, start: int) -> tuple[int, ...]:
        """Return where one stands who is to go on at a place: before atoms and assertions, or at the end."""
        found: dict[int, None] = {}
        seen: set[int] = set()
        waiting = [start]
        while waiting:
            place = waiting.pop()
            if place in self.atoms or place in self.assertions or place == self.END:
                found[place] = None
            elif place not in seen:
                seen.add(place)
                waiting += reversed(self._following[place])
        return tuple(found)

    def behind(self, place: int) -> tuple[int, ...]:
        """Return where one stands behind an atom or an assertion."""
        return self.leaves(self._following[place][0])

    def _write(self, tree: Tree, then: int) -> int:
        """Return the place where a part begins that has `then` behind it."""
        match tree:
            case Atom():
                place = self._place((then,))
                self.atoms[place] = tree
                return place
            case Assertion():
                place = self._place((then,))
                self.assertions[place] = _MIRRORED.get(tree.kind, tree.kind) if self._backwards else tree.kind
                return place
            case Sequence():
                for part in tree.parts if self._backwards else reversed(tree.parts):
                    then = self._write(part, then)
                return then
            case Choice():
                return self._place(tuple(self._write(part, then) for part in tree.parts))
        return self._repeat(tree, then)

    def _repeat(self, tree: Repeat, then: int) -> int:
        """Return where a repeat begins, as RE2 writes it: `x{2,4}` is `xx(?:x(?:x)?)?`, backwards `(?:(?:x)?x)?xx`."""
        first = len(self._following)
        if self._backwards:
            begins = self._optional(tree, self._required(tree, then))
        else:
            begins = self._required(tree, self._optional(tree, then))
        self.repeats.append((tree, first, len(self._following)))
        return begins

    def _required(self, tree: Repeat, then: int) -> int:
        for _ in range(tree.least):
            then = self._write(tree.part, then)
        return then

    def _optional(self, tree: Repeat, then: int) -> int:
        if tree.most is None:
            loop = self._place(())
            self._following[loop] = _preferred(tree, self._write(tree.part, loop), then)
            return loop
        behind = then
        entries = [then]
        for _ in range(tree.most - tree.least):
            if not self._backwards:
                then = self._place(_preferred(tree, self._write(tree.part, then), behind))
            else:
                then = self._write(tree.part, then)
                entries.append(then)
        return self._place(tuple(entries)) if self._backwards else then

    def _place(self, following: tuple[int, ...]) -> int:
        self._following.append(following)
        return len(self._following) - 1


class Automaton:
    """What RE2 reads a text with, in one direction."""

    def __init__(self, tree: Tree, alphabet: Alphabet, direction: Direction) -> None:
        """Make its first states; the others are found by `explored`."""
        self._ordered = direction == "forwards"
        self._program = program = _Program(tree, backwards=not self._ordered)
        self._asserts = program.assertions
        self._first = program.leaves(program.start)
        self._behind: dict[int, tuple[int, ...]] = {}
        self._known: dict[tuple[int, ...], tuple[int, ...]] = {}
        everything = (1 << len(alphabet.characters)) - 1
        characters = {place: alphabet.takes(atom) for place, atom in program.atoms.items()}
        if direction != "origin":
            self._first += (_AGAIN,)
            self._behind[_AGAIN] = self._first
            characters[_AGAIN] = everything
        kinds = set(program.assertions.values())
        words = _bits(alphabet.characters, _WORD) if kinds & {"word", "not_word"} else 0
        lines = _bits(alphabet.characters, "\n") if kinds & {"line_start", "line_end"} else 0
        self._takers: dict[Context, list[int]] = {}
        """The places that take a character, as bits, for each kind of character that is told apart."""
        for kind in _apart(everything, {*characters.values(), words, lines}):
            context: Context = "word" if kind & words else "line" if kind & lines else "other"
            takers = sum(1 << place for place, own in characters.items() if own & kind)
            self._takers.setdefault(context, []).append(takers)
        self.kinds: tuple[CharacterKind, ...] = tuple(
            dict.fromkeys((context, takers) for context, each in self._takers.items() for takers in each)
        )
        self.states: set[State] = set()
        """Those that have been found, in which one stands somewhere in a text."""
        inner = {atom: inner_states(atom) for atom in set(program.atoms.values())}
        self._inner = {place: (atom, inner[atom]) for place, atom in program.atoms.items() if inner[atom]}
        self._most_inner = sum(inner.values())

    def explored(self) -> int:
        """Go to every state there is, and return how many places they hold, counting one more for each state.

        Raises TooLargeError as soon as there are too many.
        """
        waiting = self.first_states
        self.states = seen = set(waiting)
        places = inner = 0
        while waiting:
            state = waiting.pop()
            places += len(state[0]) + 1
            inner += self._inside(state[0])
            if len(seen) > MOST_STATES or inner > MOST_INNER_STATES or places > MOST_PLACES:
                raise TooLargeError(places)
            new = self._reached(state) - seen
            seen |= new
            waiting += new
        return places

    @property
    def first_states(self) -> list[State]:
        """The states in which a search begins, with anything before it."""
        contexts: Iterable[Context] = (None, *self._takers) if self._asserts else (None,)
        return [self.first(context) for context in contexts]

    def first(self, before: Context) -> State:
        """Return the state in which a search begins."""
        return self._listed(self._first), before if self._asserts else None

    def step(self, state: State, kind: CharacterKind) -> tuple[bool, State | None]:
        """Return whether a match ends before a character, and the state behind it: None if the search is over."""
        listed, before = state
        after, takers = kind
        opened = tuple(self._opened(listed, before, after)) if self._asserts else listed
        behind = self._after(tuple([place for place in opened if takers >> place & 1]))
        return _Program.END in opened, (behind, after if self._asserts else None) if behind else None

    def ends(self, state: State) -> bool:
        """Whether a match ends where the text does."""
        listed, before = state
        return _Program.END in self._opened(listed, before, None) if self._asserts else _Program.END in listed

    def may_end(self, state: State) -> bool:
        """Whether a match could end here, whatever comes."""
        return any(place == _Program.END or place in self._asserts for place in state[0])

    def repeats_at(self, place: int) -> list[Repeat]:
        """Return the repeats that a place is in, the innermost first."""
        return [repeat for repeat, first, end in self._program.repeats if first <= place < end]

    def _inside(self, listed: tuple[int, ...]) -> int:
        """Return how many states there are between a state and the next: the kinds of characters have theirs apart."""
        if self._most_inner * MOST_STATES <= MOST_INNER_STATES:
            return 0
        return sum(dict([self._inner[place] for place in listed if place in self._inner]).values())

    def _reached(self, state: State) -> set[State]:
        """Return the states that one more character leads to."""
        listed, before = state
        found: set[State] = set()
        for after, takers in self._takers.items():
            opened = self._opened(listed, before, after) if self._asserts else listed
            here = sum([1 << place for place in opened])
            for taking in {here & those for those in takers}:
                places = tuple([place for place in opened if taking >> place & 1])
                found.add((self._after(places), after if self._asserts else None))
        return found

    def _after(self, places: tuple[int, ...]) -> tuple[int, ...]:
        """Return the state in which one stands behind some places."""
        found = self._known.get(places)
        if found is None:
            found = self._known[places] = self._listed(chain.from_iterable([self._next(place) for place in places]))
        return found

    def _next(self, place: int) -> tuple[int, ...]:
        found = self._behind.get(place)
        if found is None:
            found = self._behind[place] = self._program.behind(place)
        return found

    def _opened(self, listed: Iterable[int], before: Context, after: Context) -> Iterable[int]:
        """Return the places of a state, and those behind its assertions that hold between two characters."""
        found: dict[int, None] = {}
        waiting = list(listed)[::-1]
        while waiting:
            place = waiting.pop()
            if place in found:
                continue
            found[place] = None
            if self._ordered and place == _Program.END:
                break
            kind = self._asserts.get(place)
            if kind is not None and _holds(kind, before, after):
                waiting += reversed(self._next(place))
        return found

    def _listed(self, places: Iterable[int]) -> tuple[int, ...]:
        """Return a state's places as RE2 keeps them."""
        if not self._ordered:
            return tuple(sorted(set(places)))
        kept = tuple(dict.fromkeys(places))
        return kept[: kept.index(_Program.END) + 1] if _Program.END in kept else kept


_AGAIN = 1
"""The place that begins a search at the next character."""
_WORD = "_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MIRRORED: Mapping[Kind, Kind] = {
    "text_start": "text_end",
    "text_end": "text_start",
    "line_start": "line_end",
    "line_end": "line_start",
}


def _preferred(tree: Repeat, again: int, done: int) -> tuple[int, ...]:
    return (done, again) if tree.lazy else (again, done)


def _holds(kind: Kind, before: Context, after: Context) -> bool:
    match kind:
        case "word":
            return (before == "word") is not (after == "word")
        case "not_word":
            return (before == "word") is (after == "word")
        case "text_start":
            return before is None
        case "text_end":
            return after is None
        case "line_start":
            return before in (None, "line")
    return after in (None, "line")


def _bits(sample: str, characters: str) -> int:
    return sum(1 << place for place, character in enumerate(sample) if character in characters)


def _apart(everything: int, told: Iterable[int]) -> list[int]:
    """Return the groups of characters that are in the same sets."""
    groups = [everything]
    for own in told:
        groups = [part for group in groups for part in (group & own, group & ~own) if part]
    return groups
