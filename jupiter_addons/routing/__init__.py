"""Where a call can go, and who is asked first.

`registry` says what the name of a model means, `plan` who can be asked for it, `strategies` in which order; `state` remembers
how each model at each provider does (`health`, `breaker`, `ejection`) and how much asking again costs (`retry`).  Pure: clock
and dice are arguments, and addresses come from the configuration only, never from a request.
"""
