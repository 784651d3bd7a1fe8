"""The knobs: what the rehearsal provider is to do wrong, read from the last user message.

    [[status=503]]  answer with an error        [[delay_ms=200]]  wait before the answer
    [[events=50]]   a stream of so many deltas  [[gap_ms=20]]     wait between events
    [[cut_after=3]] drop the connection there   [[no_done]]       leave out the terminal event
    [[error_event]] an error event, then end    [[linger]]        keep the connection open after the end
    [[comments]]    SSE comments, odd spacing   [[odd_json]]      unknown fields, odd spacing, escapes
    [[split=1]]     write so many bytes a time  [[gzip]]          compress although not asked
    [[no_usage]]    leave out the usage         [[html]]          a page instead of JSON
    [[hang]]        never answer                [[close]]         close instead of answering
    [[say=text]]    answer with this text       [[calls=2]]     call so many of the tools offered
    [[think=text]]  reason before the answer    [[times=1]]       an error only so many times
    [[retry_after=1]] seconds, beside an error  [[call=f {"a":1}]] call this tool (%5D for a bracket)

Tools that were called for are not called again once their results are there: those are answered.  Knobs travel in the text
because a gateway does not forward unknown headers.
"""

import re
from dataclasses import dataclass, fields

_KNOB = re.compile(r"\[\[([a-z_]+)(?:=([^\]]*))?\]\]")


@dataclass(slots=True)
class Behaviour:
    """What to do; the defaults are a good provider's."""

    status: int = 200
    delay_ms: int = 0
    events: int = 0
    gap_ms: int = 0
    cut_after: int = -1
    split: int = 0
    say: str = ""
    think: str = ""
    calls: int = 0
    call: str = ""
    times: int = 0
    retry_after: int = 7
    no_done: bool = False
    error_event: bool = False
    linger: bool = False
    comments: bool = False
    odd_json: bool = False
    gzip: bool = False
    no_usage: bool = False
    html: bool = False
    hang: bool = False
    close: bool = False


_KINDS = {field.name: field.type for field in fields(Behaviour)}


def parse(text: str) -> tuple[Behaviour, str]:
    """Return the knobs in a message and the message without them.  Unknown knobs stay in the text."""
    found = Behaviour()

    def take(match: re.Match[str]) -> str:
        name, value = match[1], match[2]
        kind = _KINDS.get(name)
        if kind is None:
            return match[0]
        if kind is bool:
            setattr(found, name, True)
        elif kind is int:
            setattr(found, name, int(value) if value and value.lstrip("-").isdigit() else 0)
        else:
            setattr(found, name, value or "")
        return ""

    return found, _KNOB.sub(take, text).strip()
