"""What came of it all, as a table: a row a client, a column a kind of call, a footnote for whatever is not plainly good.

A mark stands for every type of provider and both doors: ✓ every answer was right, ✗ some was not, - the client does not offer
it, · not run.  Where a provider cannot say what is asked, the refusal by name is the right answer, and a footnote says so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from compat.calls import COLUMNS
from compat.clients import Client
from compat.judge import OWN_KEY, Verdict
from compat.runs import Run
from compat.world import DOORS, KINDS

REFUSED = "refused by name (400; 503 beside an outage of the client's own provider)"
BEGIN, END = "<!-- compat: begin -->", "<!-- compat: end -->"


@dataclass
class Report:
    """All runs, and the clients that could not be had."""

    runs: list[Run] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Client's title -> why."""

    @property
    def failures(self) -> list[tuple[Run, str, Verdict]]:
        """Every call that went wrong."""
        return [(run, call, one) for run in self.runs for call, one in run.verdicts.items() if one.status == "failed"]

    @property
    def exit_code(self) -> int:
        """1 if a call went wrong, 3 if a client could not be had, else 0."""
        return 1 if self.failures else 3 if self.missing else 0

    def as_json(self) -> dict[str, object]:
        """Return the report in its promised shape."""
        counted = [one.status for run in self.runs for one in run.verdicts.values()]
        rows = [
            {
                "client": run.client.id,
                "version": run.client.version,
                "provider": run.kind,
                "door": run.door,
                "calls": {call: {"status": one.status, "why": one.why} for call, one in run.verdicts.items()},
            }
            for run in self.runs
        ]
        sums = {status: counted.count(status) for status in ("passed", "refused", "failed", "cannot")}
        return {"sums": sums, "not_installed": self.missing, "runs": rows}


class _Notes:
    """Footnotes, numbered as they come; one that is there already keeps its number."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def number(self, text: str) -> str:
        if text not in self.texts:
            self.texts.append(text)
        return str(self.texts.index(text) + 1)


def markdown(report: Report) -> str:
    """Return the table and its footnotes."""
    notes = _Notes()
    lines = [f"| client | {' | '.join(COLUMNS)} |", f"|---|{'|'.join([':-:'] * len(COLUMNS))}|"]
    for client in dict.fromkeys(run.client.id for run in report.runs):
        runs = [run for run in report.runs if run.client.id == client]
        note, title = runs[0].client.note, runs[0].client.title
        title += f" <sup>{notes.number(note)}</sup>" if note else ""
        cells = (_cell(runs, calls, notes) for calls in COLUMNS.values())
        lines.append(f"| {title} | {' | '.join(cells)} |")
    for title, why in report.missing.items():
        cells = [f"· <sup>{notes.number(f'not installed: {why}')}</sup>", *["·"] * (len(COLUMNS) - 1)]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    footnotes = [f"{number}. {text}" for number, text in enumerate(notes.texts, 1)]
    return "\n".join([*lines, "", *footnotes]).rstrip() + "\n"


def _cell(runs: Sequence[Run], calls: Iterable[str], notes: _Notes) -> str:
    verdicts = [(run, call, run.verdicts[call]) for run in runs for call in calls]
    found = {one.status for _, _, one in verdicts}
    sign = "✗" if "failed" in found else "-" if found == {"cannot"} else "✓"
    said: dict[str, list[Run]] = {}
    for run, call, one in verdicts:
        if one.status == "failed":
            said.setdefault(f"{call}: {one.why}", []).append(run)
        elif one.status == "refused":
            said.setdefault(f"{REFUSED}: {one.why}", []).append(run)
        elif one.why and one.why != OWN_KEY:
            said.setdefault(one.why, []).append(run)
    numbers = [
        notes.number(_placed(text, where) if text.partition(":")[0] in calls else text) for text, where in said.items()
    ]
    return sign + (f" <sup>{','.join(dict.fromkeys(numbers))}</sup>" if numbers else "")


def _placed(text: str, runs: Sequence[Run]) -> str:
    places = sorted({(KINDS.index(run.kind), DOORS.index(run.door)) for run in runs})
    if len(places) == len(KINDS) * len(DOORS):
        return f"{text} (everywhere)"
    return f"{text} ({', '.join(f'{KINDS[kind]} at the {DOORS[door]} door' for kind, door in places)})"


def in_readme(text: str, table: str) -> str:
    """Return the README with the table between its marks.  Raises LookupError if they are not there once."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise LookupError(f"the README does not have {BEGIN} and {END} once each")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table}{END}{rest.partition(END)[2]}"


def title_of(client: Client) -> str:
    """Return what progress lines call a client."""
    return f"{client.id} ({client.version})"
