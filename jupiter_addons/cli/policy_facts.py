"""The facts of a request that never came: what the gateway would know of it, by the same parsers, estimates and detectors.

The request is put into an Exchange as the stages before `decide` would leave it, and its facts are taken from there.  No
counter has counted anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jupiter_addons.dialects import endpoints, passthrough
from jupiter_addons.dialects.call import Call, DialectName, Endpoint, Reply
from jupiter_addons.dialects.registry import PARSERS, WIRES
from jupiter_addons.dialects.strict import scan
from jupiter_addons.enrichment.describe import describe
from jupiter_addons.enrichment.findings import Findings
from jupiter_addons.enrichment.prices import PriceTable, catalogue
from jupiter_addons.errors import Refusal, RequestError
from jupiter_addons.exchange import Exchange, Outgoing
from jupiter_addons.identity.principals import Principal
from jupiter_addons.limits.ledger import Ledger
from jupiter_addons.policy.cases import Asked
from jupiter_addons.policy.facts import Facts
from jupiter_addons.policy.vocabulary import Phase
from jupiter_addons.settings.load import Configuration
from jupiter_addons.settings.schema import Settings
from jupiter_addons.settings.schema_governance import Processing
from jupiter_addons.stages.facts import Surroundings, facts

NOBODY = Principal(user="somebody", key_id="")
"""Who asks, where nobody is named."""

_DIALECTS: Mapping[str, DialectName] = {wire.path: dialect for dialect, wire in WIRES.items() if wire.path}


@dataclass
class Gateway:
    """Makes facts of what is asked, by what is configured; a default where nothing is."""

    environment: str = Settings.model_fields["environment"].default
    emergency_mode: bool = False
    processing: Processing = field(default_factory=Processing)
    principal: Principal = NOBODY

    @classmethod
    def of(cls, settings: Configuration, user: str | None = None) -> "Gateway":
        """Return the one of a configuration, asked by a user of its directory."""
        principal = NOBODY
        if user is not None:
            entry = settings.identity.principals.get(user)
            principal = (
                Principal(user, "")
                if entry is None
                else Principal(user, "", entry.team, tuple(entry.roles), entry.attributes)
            )
        return cls(settings.environment, settings.policy.emergency_mode, settings.processing, principal)

    def __call__(self, asked: Asked, phase: Phase) -> Facts:
        """Return the facts of a request.  Raises RequestError if the gateway would not take it."""
        around = Surroundings(
            environment=self.environment,
            emergency_mode=self.emergency_mode,
            usage=lambda user, model: Ledger().usage(user, model),
            window=lambda call: self._prices.window(catalogue(call), call.model),
            providers=lambda _model: {},
        )
        return facts(self._exchange(asked), around, phase)

    def _exchange(self, asked: Asked) -> Exchange:
        """Return the exchange of a request that has come as far as it comes before it is decided on, or answered."""
        call = _parsed(asked)
        body = asked.body or b""
        price = self._prices.lookup(catalogue(call), call.model)
        profile = describe(call, price, len(body), self.processing.tokens.default_max_output)
        x = Exchange(
            call_id="case",
            request_id="case",
            door="gateway",
            endpoint=Endpoint(asked.path, "POST", call.dialect, call.operation, WIRES[call.dialect].family),
            family=WIRES[call.dialect].family,
            client_address="127.0.0.1",
            arrived_us=int(asked.time_s * 1_000_000),
            arrived_ns=0,
        )
        x.principal, x.call, x.head = self.principal, call, ()
        x.received, x.plain_bytes = body, len(body)
        x.price, x.profile, x.findings = price, profile, Findings.of(call)
        x.outgoing = Outgoing(call, body, False, call.model, price, profile)
        x.upstream_status = 200
        x.reply = Reply(text=asked.answer, text_bytes=len(asked.answer.encode()), complete=True)
        return x

    @cached_property
    def _prices(self) -> PriceTable:
        overrides: Mapping[str, Mapping[Any, Any]] = self.processing.costs.overrides
        return PriceTable({model: {k: str(v) for k, v in price.items()} for model, price in overrides.items()})


def _parsed(asked: Asked) -> Call:
    dialect = _DIALECTS.get(asked.path)
    found = endpoints.find("POST", asked.path)
    if not isinstance(found, Refusal) and found.dialect == "passthrough" and asked.body is not None:
        call, _ = passthrough.parse_request(found, asked.path, "", asked.body)
        return call
    if dialect is None:
        known = ", ".join(_DIALECTS)
        raise RequestError(Refusal("unknown_path", f"no call is read at `{asked.path}`; known paths are {known}"))
    if asked.body is None:
        return Call(dialect, "chat", "", False, (), None, 1, None, (), {})
    return PARSERS[dialect](scan(asked.body))
