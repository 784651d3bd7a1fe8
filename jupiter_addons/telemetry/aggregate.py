"""One exposition out of several: the sums of what the workers count.

A worker that has ended takes its counters with it.  What it was last seen to have counted is kept, because a sum that went
down would look like a restart to whoever scrapes it, and be counted twice.
"""

from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families

type Sample = tuple[str, tuple[tuple[str, str], ...]]

_KEPT = ("counter", "histogram")
"""Types whose values outlive the process that counted them."""


class Sums:
    """The sums over all workers."""

    def __init__(self) -> None:
        self._last: dict[int, str] = {}
        self._retired: dict[Sample, float] = {}

    def update(self, worker: int, exposition: str) -> None:
        """Take what a worker counts now."""
        self._last[worker] = exposition

    def retire(self, worker: int) -> None:
        """A worker has ended; keep what it had counted."""
        for family in text_string_to_metric_families(self._last.pop(worker, "")):
            if family.type in _KEPT:
                for sample in family.samples:
                    key = (sample.name, tuple(sample.labels.items()))
                    self._retired[key] = self._retired.get(key, 0.0) + sample.value

    def render(self, more: str = "") -> bytes:
        """Return the exposition of all sums, and of `more` as it is."""
        sums: dict[Sample, float] = {}
        heads: dict[str, tuple[str, str]] = {}
        order: dict[str, dict[Sample, None]] = {}
        for exposition in self._last.values():
            for family in text_string_to_metric_families(exposition):
                if family.name.endswith("_created"):
                    continue  # when each process began to count says nothing about a sum
                heads[family.name] = (family.documentation, family.type)
                for sample in family.samples:
                    key = (sample.name, tuple(sample.labels.items()))
                    order.setdefault(family.name, {})[key] = None
                    sums[key] = sums.get(key, 0.0) + sample.value
        lines: list[str] = []
        for name, (documentation, kind) in heads.items():
            shown = f"{name}_total" if kind == "counter" else name
            lines += [f"# HELP {shown} {documentation}", f"# TYPE {shown} {kind}"]
            lines += [_line(key, sums[key] + self._retired.get(key, 0.0)) for key in order.get(name, ())]
        lines += _orphans(self._retired, sums)
        return ("\n".join(lines) + "\n" + more).encode()


def _orphans(retired: dict[Sample, float], sums: dict[Sample, float]) -> Iterable[str]:
    """Yield what only workers that have ended had counted."""
    return [_line(key, value) for key, value in retired.items() if key not in sums and not key[0].endswith("_created")]


def _line(key: Sample, value: float) -> str:
    name, labels = key
    text = ",".join(f'{label}="{_escaped(content)}"' for label, content in labels)
    return f"{name}{{{text}}} {value!r}" if text else f"{name} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
