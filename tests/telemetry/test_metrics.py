"""Metrics are ours alone and labelled by what we know."""

from jupiter_addons.telemetry.metrics import Metrics


def test_each_has_a_help_text_and_a_value():
    metrics = Metrics()
    metrics.requests.labels("gateway", "p", "allow", "ok").inc()
    text = metrics.render().decode()
    assert 'jupiter_requests_total{code="ok",door="gateway",provider="p",verdict="allow"} 1.0' in text
    assert text.count("# HELP jupiter_") >= 10
    assert "python_info" not in text
