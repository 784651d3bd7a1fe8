"""Two numbers from 1 to 10 for policies that do not want to say more: how much work a call is, and how risky.

They start at 1, rows add up, 10 is the most.  Of each group the highest row that holds counts.

| complexity  |                   | +  |   | risk               |                    | +  |
|-------------|-------------------|----|---|--------------------|--------------------|----|
| input       | > 1,000 tokens    | 1  |   | personal data      | 1 to 5 findings    | 2  |
|             | > 5,000 tokens    | 2  |   |                    | more than 5        | 4  |
|             | > 10,000 tokens   | 3  |   | sensitive matter   | low                | 1  |
| turns       | > 2               | 1  |   |                    | medium             | 2  |
|             | > 5               | 2  |   |                    | high               | 3  |
|             | > 10              | 3  |   |                    | critical           | 5  |
| tools       | 1 to 5 offered    | 1  |   | injection          | detected           | 3  |
|             | more than 5       | 3  |   |                    | confidence > 0.9   | 5  |
"""

from jupiter_addons.enrichment.detectors.injection import DETECTED
from jupiter_addons.enrichment.findings import Findings

MOST = 10

_TOKENS = ((10_000, 3), (5_000, 2), (1_000, 1))
_TURNS = ((10, 3), (5, 2), (2, 1))
_TOOLS = ((5, 3), (0, 1))
_PERSONAL = ((5, 4), (0, 2))
_SEVERITY = {None: 0, "low": 1, "medium": 2, "high": 3, "critical": 5}
_CERTAIN = 0.9


def complexity_score(*, input_tokens: int, turns: int, tools: int) -> int:
    """Return how much work a call is, 1 to 10, by the table above."""
    return min(MOST, 1 + _above(_TOKENS, input_tokens) + _above(_TURNS, turns) + _above(_TOOLS, tools))


def risk_score(findings: Findings) -> int:
    """Return how risky the texts of a call are, 1 to 10, by the table above.

    Raises whatever keeps the findings from being known: a risk nobody has looked for is not low.
    """
    personal = sum(map(len, findings.pii))
    injected = findings.injection.score
    injection = 0 if injected < DETECTED else 5 if injected > _CERTAIN else 3
    return min(MOST, 1 + _above(_PERSONAL, personal) + _SEVERITY[findings.sensitive.severity] + injection)


def _above(steps: tuple[tuple[int, int], ...], value: int) -> int:
    """Return what the highest step adds that a value is above."""
    return next((points for bound, points in steps if value > bound), 0)
