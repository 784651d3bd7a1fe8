"""What is added to mitmproxy itself, by subclasses and hooks, without a fork.

`seams` puts our classes in mitmproxy's places and checks that they still fit: `guard` (the connection handler: nothing
without a verdict), `stream` (one request: early refusals, a durable end), `edge` (HTTP/1 limits), `tunnel` (blind
CONNECTs).  `master` is the smallest master that serves traffic, `options` what stock defaults get wrong, `drain` the
way out.  `state` is what they share, `answers` how they speak.  With `stages`, the only importers of mitmproxy.
"""
