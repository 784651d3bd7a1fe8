"""What the admin port says of the evidence: read only, paged, bounded, and never a word of what was said.

    GET /evidence?…           {"calls": [a row a call], "next": a cursor, or null}
    GET /evidence/ID          {"call": its row, "leaves": [{"idx", "hash", "leaf"}]}
    GET /evidence/report?…    sums: total, statuses, by day, user, …; {"complete": false} if it is of the newest calls only

Parameters are the filters of `jupiter evidence query`, and `sort` (time, cost, tokens), `order` (desc, asc), `limit` (up to
1000), `cursor`; for a report `by` with commas between, and `top` (up to 1000).  Anything else is a 400 that says so.

A question is answered on a thread, one at a time, so that curiosity costs calls little; whoever asks meanwhile is told to come
again.  Everything is read from the files of all workers, so that it does not matter which process is asked.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

import orjson

from jupiter_addons.errors import JupiterError, StoreError
from jupiter_addons.evidence.asking import NAMES, QuestionError, asked, count
from jupiter_addons.evidence.encoding import leaf_hash
from jupiter_addons.evidence.query import Filter, Sort, joined
from jupiter_addons.evidence.report import GROUPINGS, Grouping, report
from jupiter_addons.storage.evidence_places import Place
from jupiter_addons.storage.evidence_query import NEWEST, Order, every, leaves_of, page

MAX_LIMIT, USUAL_LIMIT = 1000, 100
MAX_TOP, USUAL_TOP = 1000, 20
MAX_REPORTED = 20_000
"""A report is of at most so many calls, the newest: a second or two of work.  The command has no such bound."""
MAX_VALUE = 256
"""Longer values are nobody's name."""

type Answered = tuple[int, bytes]

_SORTS: Mapping[str, Sort] = {"time": "time", "cost": "cost", "tokens": "tokens"}
_BY: Mapping[str, Grouping] = {name: name for name in GROUPINGS}
_BUSY = 503, b'{"error":"another question is being answered; ask again"}'


class Inspection:
    """Answers questions about the evidence."""

    def __init__(
        self,
        paths: Callable[[], Sequence[Place]],
        pseudonym: Callable[[str], str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`paths` are the logs of all workers; `pseudonym` is what leaves call a user."""
        self._paths = paths
        self._pseudonym = pseudonym
        self._clock = clock
        self._turn = threading.Lock()

    async def __call__(self, path: str, given: Mapping[str, Sequence[str]]) -> Answered:
        """Return status and body for a path below `/evidence` and its parameters."""
        if not self._turn.acquire(blocking=False):
            return _BUSY
        return await asyncio.to_thread(self._answer, path, given)

    def _answer(self, path: str, given: Mapping[str, Sequence[str]]) -> Answered:
        """Answer, and let the next one ask: the thread lives on if whoever asked is gone."""
        try:
            return self._find(path, _single(given))
        except QuestionError as error:
            return _refused(400, str(error), error.name)
        except StoreError as error:
            return _refused(503, f"the record cannot be read: {error}")
        except JupiterError as error:
            return _refused(500, f"the record is not what was written: {error}")
        finally:
            self._turn.release()

    def _find(self, path: str, texts: dict[str, str]) -> Answered:
        if path == "/evidence":
            return self._page(texts)
        if path == "/evidence/report":
            return self._report(texts)
        return self._one(path.removeprefix("/evidence/"), texts)

    def _page(self, texts: dict[str, str]) -> Answered:
        order = Order(
            _choice(texts, "sort", _SORTS, "time"),
            descending=_choice(texts, "order", {"desc": 1, "asc": 0}, "desc") == 1,
        )
        limit = max(1, count(texts.pop("limit", str(USUAL_LIMIT)), "limit", MAX_LIMIT))
        cursor = texts.pop("cursor", None)
        wanted = self._wanted(texts)
        try:
            found = page(self._paths(), wanted, order, limit, cursor)
        except ValueError as error:
            raise QuestionError("cursor", str(error)) from error
        return 200, orjson.dumps({"calls": found.calls, "next": found.next})

    def _one(self, call_id: str, texts: dict[str, str]) -> Answered:
        if texts:
            raise QuestionError(next(iter(texts)), "one call takes no parameters")
        rows = leaves_of(self._paths(), call_id)
        call = joined(rows)
        if call is None:
            return _refused(404, "there is no such call in the record")
        leaves = [{"idx": row.idx, "hash": leaf_hash(row.leaf), "leaf": orjson.loads(row.leaf)} for row in rows]
        return 200, orjson.dumps({"call": call, "leaves": leaves})

    def _report(self, texts: dict[str, str]) -> Answered:
        names = texts.pop("by", ",".join(GROUPINGS)).split(",")
        by = [_choice({"by": name}, "by", _BY, "day") for name in names]
        top = max(1, count(texts.pop("top", str(USUAL_TOP)), "top", MAX_TOP))
        found = every(self._paths(), self._wanted(texts), NEWEST)
        shown: dict[str, Any] = report(islice(found, MAX_REPORTED), by).as_json()
        shown["complete"] = next(found, None) is None
        shown["by"] = {name: rows[-top:] if name == "day" else rows[:top] for name, rows in shown["by"].items()}
        return 200, orjson.dumps(shown)

    def _wanted(self, texts: dict[str, str]) -> Filter:
        return asked(texts, self._pseudonym, self._clock())


def _single(given: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return parameters that are given once.  Raises QuestionError."""
    for name, values in given.items():
        if len(values) != 1:
            raise QuestionError(name, f"{name} is given more than once")
        if len(values[0]) > MAX_VALUE and name in NAMES:
            raise QuestionError(name, f"{name} is longer than any that there is")
    return {name: values[0] for name, values in given.items()}


def _choice[Value](texts: dict[str, str], name: str, choices: Mapping[str, Value], usual: str) -> Value:
    text = texts.pop(name, usual)
    if text not in choices:
        raise QuestionError(name, f"{name} is one of {', '.join(choices)}")
    return choices[text]


def _refused(status: int, message: str, name: str | None = None) -> Answered:
    return status, orjson.dumps({"error": message} if name is None else {"error": message, "parameter": name})
