"""What can go wrong, in two kinds: refusals are values, faults are exceptions.

A *refusal* is an expected answer: denied, over a limit, no such path.  It is a value (`Refusal`), made where the rule is
known, carried in the Exchange and printed in the client's dialect by `dialects.envelope`.  `CODES` is the one table from
a code to its HTTP status, its type in either error dialect and whether trying again can help.

A *fault* is an exception:

* JupiterError
  x ConfigError        the operator's: configuration, policies, keys, certificates (exit 2)
  x RequestError       the client's: bytes that have no single reading; carries a Refusal
  x UpstreamError      the provider's: an answer we cannot relay honestly
  x StoreError         a store failed or cannot be trusted (exit 3)
  x VerificationError  evidence is bad (exit 1)
  x HostError          mitmproxy does not have the shape we rely on (exit 2)
  x EffectError        a rule wants of a call what cannot be done with it
  x StageOrderError    ours: a stage read what no earlier stage has written
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Code(NamedTuple):
    """One row of the table of refusals."""

    status: int
    openai_type: str
    anthropic_type: str
    retry: bool
    """Whether the same request may succeed later.  If not, the answer says `x-should-retry: false`: the official SDKs
    send a 429 or 503 three times otherwise, and a repeated denial counts three times."""


def _codes(
    status: int, openai_type: str, anthropic_type: str, names: str, *, retry: bool = False
) -> list[tuple[str, Code]]:
    return [(name, Code(status, openai_type, anthropic_type, retry)) for name in names.split()]


_INVALID = "invalid_request_error"

CODES: Mapping[str, Code] = dict(
    [
        *_codes(
            400,
            _INVALID,
            _INVALID,
            "invalid_json invalid_value ambiguous_body bad_request unsupported_by_provider",
        ),
        *_codes(401, "authentication_error", "authentication_error", "missing_key invalid_key conflicting_keys"),
        *_codes(
            403,
            "policy_violation",
            "permission_error",
            "policy_denied host_denied sni_mismatch endpoint_denied",
        ),
        *_codes(404, _INVALID, "not_found_error", "unknown_path model_not_found"),
        *_codes(405, _INVALID, "not_found_error", "method_not_allowed"),
        *_codes(407, "authentication_error", "authentication_error", "proxy_authentication_required"),
        *_codes(408, _INVALID, "request_too_large", "request_timeout"),
        *_codes(413, _INVALID, "request_too_large", "request_too_large"),
        *_codes(415, _INVALID, "request_too_large", "unsupported_encoding"),
        *_codes(426, _INVALID, "request_too_large", "upgrade_refused"),
        *_codes(431, _INVALID, "request_too_large", "headers_too_large"),
        *_codes(
            429,
            "rate_limit_exceeded",
            "rate_limit_error",
            "rate_limited tokens_limited budget_exceeded concurrency_limited queue_timeout",
            retry=True,
        ),
        *_codes(502, "server_error", "api_error", "provider_error provider_invalid_response", retry=True),
        *_codes(504, "server_error", "api_error", "deadline_exceeded", retry=True),
        *_codes(
            503,
            "server_error",
            "overloaded_error",
            "no_provider store_unavailable evidence_unavailable policy_unavailable overloaded not_ready gateway_fault",
            retry=True,
        ),
    ]
)
"""Every code a client can be answered with.  A policy rule may bring a code of its own: it is answered as `policy_denied`
is, under its own name and status."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is not the provider's.

    `code` is a row of CODES or a rule's own code; `message` is for the client: lower case, one line, no paths, keys,
    conditions or other tenants.  `status` overrides the table (a rule's own status).  `param` is the JSON path at fault.
    """

    code: str
    message: str
    param: str | None = None
    retry_after_s: float | None = None
    """When the same request would do better; infinite if never, although others of its kind would."""
    status: int | None = None
    by_rule: bool = False
    """A rule denied the call: whatever code it names, trying again cannot help."""

    @property
    def row(self) -> Code:
        """The table's row, with the refusal's own status if it has one."""
        row = CODES["policy_denied" if self.by_rule or self.code not in CODES else self.code]
        return row if self.status is None else row._replace(status=self.status)


class JupiterError(Exception):
    """The root of every fault this project raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file an operator or author wrote.  `line` and `column` count from 1; 0 means the whole file."""

    file: str
    line: int
    column: int
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        """Print `file:line:column: message; hint: …`, leaving out what is not known."""
        place = ":".join([self.file, *(str(n) for n in (self.line, self.column) if n)])
        return f"{place}: {self.message}" + (f"; hint: {self.hint}" if self.hint else "")


class ConfigError(JupiterError):
    """What the operator wrote cannot be used.  Carries every problem found, not just the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class RequestError(JupiterError):
    """The client sent something that has no single reading, or no reading at all."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class UpstreamError(JupiterError):
    """The provider answered with something that cannot be relayed honestly."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class StoreError(JupiterError):
    """A store failed, or what it holds cannot be trusted."""


class VerificationError(JupiterError):
    """Evidence is not what was signed."""


class HostError(JupiterError):
    """The installed mitmproxy does not have the private shape this version was written for."""


class EffectError(JupiterError):
    """A rule wants something of a call that cannot be done with it; the call is not sent without it.  For the log only."""


class StageOrderError(JupiterError):
    """A stage read a slot that no earlier stage has written: a bug of ours."""
