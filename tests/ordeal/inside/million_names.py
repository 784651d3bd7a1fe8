"""A million subjects in the memory store: how much they take, and what admitting the last of them costs."""

import json
import time
from pathlib import Path

from jupiter_addons.limits.memory import MemoryStore
from jupiter_addons.limits.store import Counter, Sliding, Take


def rss_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


store, before, each = MemoryStore(), rss_mb(), 0.0
for number in range(1_000_000):
    began = time.thread_time_ns() if number >= 990_000 else 0
    take = Take(Counter(f"user:name-of-user-{number}", "requests", Sliding(60)), 1, 60)
    store.reserve("c", (take,), 60)
    store.settle("c", (1,))
    each += time.thread_time_ns() - began if began else 0
print(json.dumps({"mb": round(rss_mb() - before), "admit_us": round(each / 10_000 / 1000, 1)}))
