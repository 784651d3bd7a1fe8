"""The table of fields is whole: every published field is in it, under every published name."""

import pytest

from jupiter_addons.documents import Mark
from jupiter_addons.policy.fields import FIELDS, FREE, ROOTS
from jupiter_addons.policy.nodes import Field
from jupiter_addons.policy.paths import resolve

PUBLISHED = [
    "request.model",
    "request.stream",
    "request.temperature",
    "request.max_tokens",
    "request.messages",
    "request.messages[0].role",
    "request.messages[0].content",
    "request.user",
    "request.top_p",
    "request.tools",
    "request.n",
    "request.frequency_penalty",
    "request.presence_penalty",
    "request.stop",
    "request.request_id",
    "request.model_family",
    "request.tokens",
    "request.prompt_tokens",
    "request.estimated_cost",
    "request.risk_score",
    "request.complexity_score",
    "request.content_analysis.pii_detection.has_pii",
    "request.pricing_tier",
    "request.prompt",
    "request.conversation_context.turn_count",
    "request.token_estimate.total_tokens",
    "request.cost_estimate.total_cost",
    "request.text",
    "response.content",
    "response.finish_reason",
    "response.usage.prompt_tokens",
    "response.usage.completion_tokens",
    "response.usage.total_tokens",
    "response.model",
    "response.request_id",
    "response.tokens",
    "response.prompt_tokens",
    "response.completion_tokens",
    "response.actual_cost",
    "processing.token_estimate.total_tokens",
    "processing.token_estimate.prompt_tokens",
    "processing.token_estimate.completion_tokens",
    "processing.cost_estimate.total_cost",
    "processing.cost_estimate.prompt_cost",
    "processing.cost_estimate.completion_cost",
    "processing.content_analysis.pii_detection.has_pii",
    "processing.content_analysis.pii_detection.pii_types",
    "processing.content_analysis.pii_detection.confidence",
    "processing.content_analysis.pii_detection.detected",
    "processing.content_analysis.pii_detection.types",
    "processing.content_analysis.sensitive_content.has_sensitive_content",
    "processing.content_analysis.sensitive_content.detected",
    "processing.content_analysis.sensitive_content.categories",
    "processing.content_analysis.sensitive_content.severity",
    "processing.content_analysis.prompt_injection.has_prompt_injection",
    "processing.content_analysis.prompt_injection.detected",
    "processing.content_analysis.prompt_injection.type",
    "processing.content_analysis.prompt_injection.injection_type",
    "processing.content_analysis.prompt_injection.patterns",
    "processing.content_analysis.prompt_injection.confidence",
    "processing.content_analysis.sentiment.score",
    "processing.content_analysis.sentiment.label",
    "processing.risk_score",
    "processing.complexity_score",
    "processing.conversation_context.turn_count",
    "processing.conversation_context.context_window_usage",
    "processing.conversation_context.context_window_percent",
    "processing.conversation_context.total_tokens",
    "context.time.hour",
    "context.time.timestamp",
    "context.time.day_of_week",
    "context.time.day_of_week_num",
    "context.time.minute",
    "context.time.day",
    "context.time.month",
    "context.time.year",
    "context.time.date",
    "context.environment",
    "context.user_attributes.tier",
    "context.user_attributes.department",
    "context.user_attributes.requests_this_hour",
    "context.user_attributes.daily_token_usage",
    "context.user_attributes.daily_cost",
    "context.user_attributes.monthly_cost",
    "context.user_attributes.user_id",
    "context.user_attributes.roles",
    "context.user_attributes.requests_today",
    "context.user_attributes.monthly_token_usage",
    "context.user_attributes.region",
    "context.client_ip",
    "metadata.request_id",
    "request.metadata.environment",
    "attempt.number",
    "request.user.id",
    "request.user.tier",
    "request.user.authenticated",
    "request.user.status",
    "request.user.region",
    "request.ip_address",
    "request.type",
    "request.source",
    "request.output_format",
    "request.timestamp",
    "request.headers.user_agent",
    "request.estimated_tokens",
    "rate_limit.hourly",
    "rate_limit.per_second",
    "rate_limit.model_hourly",
    "rate_limit.daily_tokens",
    "rate_limit.current",
    "quota.daily_tokens_remaining",
    "system.emergency_mode",
    "environment",
    "time.hour",
    "time.weekday",
    "time.now",
    "provider.openai.health_status",
    "request.messages[*].content[type=image]",
    "request.messages[*].content[*].type",
]


@pytest.mark.parametrize("path", PUBLISHED)
def test_a_published_field_is_one(path):
    assert isinstance(resolve(path, Mark("p", 1, 1)), Field)


def test_the_table_agrees_with_itself():
    aliases = [alias for known in FIELDS.values() for alias in known.aliases]
    assert len(aliases) == len(set(aliases))
    assert [path for path in FIELDS if not path.startswith(ROOTS)] == []
    assert set(FREE) <= {f"{root}{rest}" for root in ROOTS for rest in ("metadata.", "user_attributes.")}
    assert [known.path for known in FIELDS.values() if known.one_of and known.kind != "string"] == []
    assert all(known.about for known in FIELDS.values())


def test_an_answer_is_known_in_its_phase_only():
    assert {known.phase for known in FIELDS.values() if known.path.startswith("response.")} == {"response"}
    assert {known.phase for known in FIELDS.values() if not known.path.startswith("response.")} == {"request"}
