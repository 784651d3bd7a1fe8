"""Every metric, declared once.

One registry of our own, not the process-wide default: what other libraries count is theirs to show.
Names: `jupiter_<what>_<unit>[_total]`.  Labels hold configured names and closed sets only, never what a client sent,
so that nobody can grow the number of series.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.requests = Counter(
            "jupiter_requests",
            "Requests answered, by door, provider (`-` if none was asked), verdict and the code of a refusal.",
            ("door", "provider", "verdict", "code"),
            registry=registry,
        )
        self.duration = Histogram(
            "jupiter_request_duration_seconds",
            "From the request head to the end of the answer.",
            ("door",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.first_byte = Histogram(
            "jupiter_first_byte_seconds",
            "From the durable decision to the first byte of the provider's answer.",
            ("provider",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.tokens = Counter("jupiter_tokens", "Tokens charged.", ("provider", "direction"), registry=registry)
        self.not_scanned = Counter(
            "jupiter_requests_not_scanned",
            "Requests sent of which not all could be read: files, token numbers, whatever is at an unknown path.",
            ("door", "operation"),
            registry=registry,
        )
        self.cost = Counter("jupiter_cost_usd", "Dollars charged.", ("provider",), registry=registry)
        self.in_flight = Gauge("jupiter_in_flight", "Requests being served.", registry=registry)
        self.reservations = Gauge("jupiter_reservations_open", "Reservations not settled yet.", registry=registry)
        self.connections = Gauge("jupiter_connections", "Client connections.", registry=registry)
        self.attempts_failed = Counter(
            "jupiter_attempts_failed",
            "Attempts at a provider that failed before anything of an answer had gone out.",
            ("provider", "reason"),
            registry=registry,
        )
        self.retries = Counter(
            "jupiter_retries",
            "Further attempts: made, or not made because there was no budget for them.",
            ("result",),
            registry=registry,
        )
        self.fallbacks_refused = Counter(
            "jupiter_fallbacks_refused",
            "Other models that could not be asked for a call: denied or treated otherwise by rules, or unpriced.",
            ("reason",),
            registry=registry,
        )
        self.retry_budget = Gauge(
            "jupiter_retry_budget_remaining", "Further attempts that may be made now.", registry=registry
        )
        self.breakers = Gauge(
            "jupiter_circuit_breakers",
            "Models at a provider, by the state of their circuit breaker.",
            ("provider", "state"),
            registry=registry,
        )
        self.routing_changes = Counter(
            "jupiter_routing_changes",
            "Changes of who is asked: a breaker closed, open or half_open; ejected; resting for a `retry-after`.",
            ("provider", "change"),
            registry=registry,
        )
        self.health_checks = Counter(
            "jupiter_health_checks",
            "Health checks, by what came of them: well, failed, limited (asked to be left alone) or not_asked.",
            ("provider", "result"),
            registry=registry,
        )
        self.tunnels = Counter(
            "jupiter_tunnels",
            "Tunnels asked for: opened up, given up by a client that does not trust our certificate (tls_failed), passed on"
            " untouched (tunnelled), or denied.",
            ("fate",),
            registry=registry,
        )
        self.tasks = Gauge("jupiter_tasks", "Tasks in the event loop.", registry=registry)
        self.upstream_connections = Gauge(
            "jupiter_upstream_connections", "Connections to providers, idle or not.", registry=registry
        )
        self.upstream_reuses = Gauge(
            "jupiter_upstream_reuses", "Requests that found a kept connection, since the start.", registry=registry
        )
        self.loop_lag = Gauge(
            "jupiter_loop_lag_seconds",
            "How late the last tick came: how long anything that arrives waits.",
            registry=registry,
        )
        self.shed_share = Gauge(
            "jupiter_shed_share", "The share of requests refused because the process cannot keep up.", registry=registry
        )
        self.loop_stall = Histogram(
            "jupiter_loop_stall_seconds",
            "Times in which nothing was served because something kept the event loop.",
            buckets=(0.5, 1, 2.5, 5, 10),
            registry=registry,
        )
        self.reloads = Counter("jupiter_reloads", "Reloads of the configuration.", ("result",), registry=registry)
        self.faults = Counter(
            "jupiter_faults", "Faults stopped by a stage's wrapper or by the guard.", ("where",), registry=registry
        )
        self.limit_alerts = Counter(
            "jupiter_limit_alerts",
            "Shares of limits that were reached, once in each window.",
            ["percent"],
            registry=registry,
        )
        self.alerts = Counter(
            "jupiter_alerts",
            "Alerts that rules asked for, by what became of them: sent, refused, failed or dropped.",
            ("result",),
            registry=registry,
        )
        self.cosignatures = Counter(
            "jupiter_evidence_cosignatures",
            "Checkpoints of the evidence sent to witnesses, by what came of it: ok or failed.",
            ("result",),
            registry=registry,
        )
        self.timestamps = Counter(
            "jupiter_evidence_timestamps",
            "Checkpoints of the evidence sent to a time-stamping authority, by what came of it: ok or failed.",
            ("result",),
            registry=registry,
        )
        self.unauthenticated = Counter(
            "jupiter_unauthenticated", "Requests refused before they had a principal.", ("code",), registry=registry
        )

    def render(self) -> bytes:
        """Return the Prometheus text exposition of all metrics."""
        return generate_latest(self.registry)


METRICS = Metrics()
"""The process's metrics: one process, one scrape."""
