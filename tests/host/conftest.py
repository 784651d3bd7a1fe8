"""Import mitmproxy once with its warnings let through: it uses names that a library of its own has deprecated."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mitmproxy.addons  # noqa: F401 - for its side effect: nothing is left to warn of later
