"""What the stages are given: everything the configuration names, checked, before it sees any traffic.

Whatever can be wrong with a configuration, a policy or a certificate is found here: at start while the port is still closed,
on a reload while the old parts are still in place.
"""

import asyncio
import datetime
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from jupiter_addons.dialects.call import Call, DialectName
from jupiter_addons.dialects.registry import WIRES
from jupiter_addons.enrichment.describe import takes_media
from jupiter_addons.enrichment.prices import MAX_NAME_CHARS, NOT_BILLED, Context, Price, PriceTable, context_of, dearest
from jupiter_addons.errors import ConfigError, Problem, StoreError
from jupiter_addons.evidence.record import control
from jupiter_addons.host import certificates
from jupiter_addons.identity.principals import Principal, Profile
from jupiter_addons.limits import store as limits_store
from jupiter_addons.limits.limit import Limit
from jupiter_addons.limits.plan import Caller
from jupiter_addons.limits.store import Soon
from jupiter_addons.limits.usage import meters
from jupiter_addons.policy.load import impossible
from jupiter_addons.policy.load import load as load_policies
from jupiter_addons.policy.mentions import mentions_usage
from jupiter_addons.policy.rules import PolicySet
from jupiter_addons.routing.plan import Candidate
from jupiter_addons.routing.provider import Provider, ProviderType
from jupiter_addons.routing.registry import Registry, undated
from jupiter_addons.routing.report import Report, report
from jupiter_addons.settings.limits import limit_plan
from jupiter_addons.settings.load import Configuration
from jupiter_addons.settings.policies import read_files
from jupiter_addons.settings.routing import (
    fallback_models,
    fallback_problems,
    mentioned_models,
    providers,
    routing_rules,
    state_rules,
)
from jupiter_addons.settings.schema_governance import ModelPrice
from jupiter_addons.stages.content import Content
from jupiter_addons.stages.leaves import Leaves
from jupiter_addons.stages.router import Router, announce
from jupiter_addons.stages.waiting import Lines
from jupiter_addons.stores import Stores
from jupiter_addons.telemetry.logs import FIELDS
from jupiter_addons.telemetry.metrics import METRICS

logger = logging.getLogger(__name__)

VERSION = version("mercator-jupiter")

_CATALOGUES: Mapping[ProviderType, str] = {
    "openai": "openai",
    "openai-compatible": "openai",
    "azure-openai": "azure",
    "anthropic": "anthropic",
    "ollama": "ollama",
    "rehearsal": "rehearsal",
}
"""Type of a provider -> where the price library has its models."""
UNPRICED = replace(NOT_BILLED, source="unpriced")
"""Of what nobody here knows a price of, and which is sent all the same: said in its record."""
_REMEMBERED = 4096
"""How many models are remembered with their catalogues; a client can make up as many as it likes."""


class Parts:
    """The parts of one configuration.  Raises ConfigError or StoreError."""

    def __init__(self, settings: Configuration, stores: Callable[[], Stores]) -> None:
        """`stores` is called last, when nothing is left to be wrong with the configuration."""
        self.settings = settings
        self.version = VERSION
        self.policies: PolicySet = load_policies(read_files(settings.policy_path), default=settings.policy.default)
        self.providers: Sequence[Provider] = providers(settings)
        self.registry = Registry(self.providers, settings.routing.aliases)
        if problems := [
            *impossible(self.policies, providers=settings.providers),
            *fallback_problems(settings, self.registry),
        ]:
            raise ConfigError(problems)
        self.directory: Mapping[str, Profile] = {
            user: Profile(entry.team, tuple(entry.roles), entry.attributes)
            for user, entry in settings.identity.principals.items()
        }
        costs = settings.processing.costs
        self.prices = PriceTable(
            {model: _written(price) for model, price in costs.overrides.items()},
            _written(costs.default_price) if costs.unknown_model == "price" and costs.default_price else None,
        )
        self._priced_by: dict[tuple[DialectName, str], tuple[str, ...]] = {}
        self.limit_plan = limit_plan(settings.limits)
        enforcement = settings.limits.enforcement
        self._reads_usage = mentions_usage(self.policies)
        self.trusted = self._trusted(settings)
        """Authorities that providers are checked against; None for the public ones alone."""
        self.ca_certificate: Path | None = None
        if settings.intercept.enabled:
            self.ca_certificate = certificates.ensure(settings.ca_dir, datetime.datetime.now(datetime.UTC))
        self.stores = stores()
        self.lines = Lines(
            self.stores.ledger,
            depth=enforcement.queue_depth,
            timeout_s=enforcement.queue_timeout,
            wait_for_held_s=enforcement.wait_for_held,
        )
        self.leaves = Leaves(self.stores.log, self.stores.pseudonym_key, settings.digest, self._content(settings))
        self.router = self._router(settings)

    def _content(self, settings: Configuration) -> Content | None:
        """Return what keeps prompts and answers, if they are kept."""
        keys, evidence = self.stores.subject_keys, settings.evidence
        if keys is None or evidence.content != "encrypted":
            return None
        return Content(
            keys,
            self.stores.log.origin,
            most_bytes=evidence.content_max,
            keep_redacted=evidence.content_redacted,
            credentials=[provider.api_key for provider in self.providers if provider.api_key],
        )

    def _router(self, settings: Configuration) -> Router:
        """Return what routing works with; what it has learned is the process's and outlives this configuration."""
        routing, state = settings.routing, self.stores.routing
        state.notify = announce
        return Router(
            providers=tuple(self.providers),
            registry=self.registry,
            rules=routing_rules(routing, fallback_models(settings, self.registry)),
            state=state,
            price_of=self.price_of,
            sticky=routing.sticky,
            residency=routing.residency,
            most_rest_s=routing.failover.max_rest,
        )

    @staticmethod
    def _trusted(settings: Configuration) -> Path | None:
        named = settings.upstream_ca_file
        if named is None:
            return None
        try:
            return certificates.bundle(settings.ca_dir, named)
        except (OSError, ValueError) as error:
            message = f"cannot be used as a file of certificates: {error}"
            raise ConfigError([Problem(str(named), 0, 0, message)]) from error

    def tend(self) -> None:
        """Do what needs doing once a second."""
        self.leaves.flush()
        self.stores.upkeep.tend()
        state = self.router.state
        state.configure(state_rules(self.settings.routing))  # here, because a reload is read in another thread
        METRICS.retry_budget.set(state.budget.remaining(state.clock()))
        METRICS.breakers.clear()
        for (provider, breaker), count in Counter(state.breakers()).items():
            METRICS.breakers.labels(provider, breaker).set(count)

    def report(self) -> Report:
        """Return what is known of the providers."""
        return report(self.providers, self.router.state, datetime.datetime.now(datetime.UTC))

    async def tend_counters(self) -> None:
        """Do what counters need once a second; a store that does not answer is tried again in the next one."""
        try:
            expired = await self.stores.ledger.tend()
        except StoreError as error:
            METRICS.faults.labels("counters").inc()
            logger.warning("counters could not be tended: %s", error)
            await self._tell_counters()
            return
        for call in expired:
            self.stores.log.append_nowait(control("limits.expire", call=call.call_id))
            logger.warning("a call was not settled in time, and counts in full", extra={FIELDS: {"call": call.call_id}})

    async def _tell_counters(self) -> None:
        """Tell a store that has lost it what was taken, if it has; what cannot be told now is told in the next second."""
        if not self.stores.counters_are_lost:
            return
        try:
            taken = await asyncio.to_thread(self.stores.evidence_says)
            await self.stores.tell_counters(taken)
        except StoreError as error:
            logger.error("counters cannot be told what was taken: %s", error)
        else:
            logger.warning("counters were told what was taken: %d entries of the evidence", len(taken))

    def readiness(self) -> Mapping[str, bool]:
        """Return what a governed call needs, and whether it is there."""
        return {"evidence": self.stores.log.probe()}

    def limits_for(self, principal: Principal, model: str) -> tuple[Limit, ...]:
        """Return the limits on a call, but those of its provider."""
        known = model if model in self.settings.limits.by_model else undated(model)
        organisation = principal.attributes.get("organisation")
        caller = Caller(
            principal.user, principal.key_id, principal.team, None if organisation is None else str(organisation)
        )
        return self.limit_plan.limits_for(caller, known)

    def limits_at(self, provider: str) -> tuple[Limit, ...]:
        """Return the limits on what a provider is asked."""
        return self.limit_plan.limits_at(provider)

    def counters_for(self, user: str, model: str) -> Sequence[limits_store.Counter]:
        """Return what counts a call for rules to read, also for those that a reload will bring; nothing does without rules."""
        return tuple(meters(user, model).values()) if self.policies.rules else ()

    def usage(self, user: str, model: str) -> Soon[Mapping[str, int | float]]:
        """Return what a user has taken lately, by the names that rules have for it."""
        if self.stores.ledger.answers_later and not self._reads_usage:
            return {}
        known = self.directory.get(user, Profile())
        limits = self.limits_for(Principal(user, "", known.team, known.roles, known.attributes), model)
        own = (limit for limit in limits if limit.subject == f"user:{user}" and limit.name == "tokens_per_day")
        daily = next((limit.terms.amount for limit in own), None)
        return self.stores.ledger.usage(user, model, daily_tokens=daily)

    @property
    def usage_waits(self) -> bool:
        """Whether rules read what users have taken, and that has to be waited for."""
        return self._reads_usage and self.stores.ledger.answers_later

    def window_of(self, call: Call) -> int | None:
        """Return how many tokens a call's model can take at whoever can be asked; the fewest, if they differ."""
        if (written := self.settings.processing.tokens.windows.get(call.model)) is not None:
            return written
        windows = [self.prices.window(catalogue, call.model) for catalogue in self._catalogues(call)]
        return min((window for window in windows if window is not None), default=None)

    def price_for(self, call: Call) -> Price | None:
        """Return the price of a call's model at the providers that can be asked for it; the dearest, if they differ."""
        if (known := _not_by_model(call)) is not None:
            return known
        context, media = context_of(call), takes_media(call)
        found = dearest([self.prices.lookup(c, call.model, context, media=media) for c in self._catalogues(call)])
        free = call.dialect == "passthrough" and self.settings.processing.costs.unknown_model == "free"
        return UNPRICED if found is None and free else found

    def _catalogues(self, call: Call) -> Sequence[str]:
        """Return where the price library has a call's model, at whoever can be asked for it."""
        key = call.dialect, call.model
        found = self._priced_by.get(key)
        if found is None:
            able = [p.type for p in self.providers if p.offers(call.model) and p.serves(call.dialect)]
            names = dict.fromkeys(_catalogue(kind, call.dialect) for kind in able)
            found = tuple(names)
            if len(call.model) > MAX_NAME_CHARS:
                return found
            if len(self._priced_by) >= _REMEMBERED:
                self._priced_by.clear()
            self._priced_by[key] = found
        return found

    def price_at(self, candidate: Candidate, call: Call) -> Price | None:
        """Return the price of a call at one of its candidates."""
        if (known := _not_by_model(call)) is not None:
            return known
        return self.price_of(candidate, call.dialect, context_of(call), media=takes_media(call))

    def models(self, principal: Principal) -> tuple[str, ...]:
        """Return the models a principal can ask for."""
        known = (self.prices.names(catalogue) for catalogue in {_CATALOGUES[p.type] for p in self.providers})
        named = mentioned_models(self.settings)
        listed = self.registry.listing(itertools.chain(named, itertools.chain.from_iterable(known)))
        return tuple(name for name in listed if self.router.may_ask(principal, name))

    def price_of(
        self,
        candidate: Candidate,
        dialect: DialectName | None = None,
        context: Context = (),
        *,
        media: bool = False,
    ) -> Price | None:
        """Return the price of a model at one provider, for a client of a dialect: by the name that limits have for it, or else
        by the provider's own."""
        where, names = _catalogue(candidate.provider.type, dialect), (candidate.routed, candidate.model)
        return next((found for name in names if (found := self.prices.lookup(where, name, context, media=media))), None)


def _not_by_model(call: Call) -> Price | None:
    """Return what a call costs whatever its model; None if that says."""
    if call.operation in ("count_tokens", "moderations", "files"):
        return NOT_BILLED
    return UNPRICED if call.operation in ("unknown", "batches") else None


def _catalogue(kind: ProviderType, dialect: DialectName | None) -> str:
    """Return where the price library has the models of a provider; the rehearsal one is whoever its client takes it for."""
    return WIRES[dialect].family if kind == "rehearsal" and dialect is not None else _CATALOGUES[kind]


def _written(price: ModelPrice) -> dict[str, str]:
    return {kind: str(amount) for kind, amount in price.items()}
