"""What mitmproxy does for every message and we do faster, in the whole process, with the same results.

* The three methods of `Headers` that every request calls: stock encodes, lowers and decodes through five functions for each
  name it looks at.
* The types of a message's fields: stock checks them all whenever one is made, unless Python runs with `-O`.  mitmproxy's own
  code makes them, and a type checker has seen ours.
* The layers that chose a connection's protocol: every later event passes them, each wrapped in two generators.
* The garbage collector: stock lets it look through everything that was imported again and again.

Each can be left as it is (`state.Speed`); `tests/host/test_shortcuts.py` compares.
"""

import gc
from typing import Any, cast

from mitmproxy import http
from mitmproxy.proxy.layer import Layer, NextLayer
from mitmproxy.proxy.layers.modes import HttpProxy

from jupiter_addons.host.state import Speed

YOUNG = 20_000
"""How many objects may be made before the collector looks at the young ones; 700 by default, two or three requests."""


def get_all(self: http.Headers, name: str | bytes) -> list[str]:
    """Return every value of a header, in order."""
    wanted = (name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")).lower()
    return [value.decode("utf-8", "surrogateescape") for key, value in self.fields if key.lower() == wanted]


def get(self: http.Headers, name: str | bytes, default: object = None) -> object:
    """Return a header's value; several are joined."""
    found = get_all(self, name)
    return (found[0] if len(found) == 1 else ", ".join(found)) if found else default


def contains(self: http.Headers, name: object) -> bool:
    """Whether there is such a header."""
    return isinstance(name, (str, bytes)) and bool(get_all(self, name))


def unchecked(_self: http.MessageData) -> None:
    """Trust the types of a message's fields."""


def install(speed: Speed) -> None:
    """Take the place of stock where `speed` says so."""
    if speed.fast_headers:
        http.Headers.get_all = get_all  # type: ignore[method-assign]
        http.Headers.get = get  # type: ignore[method-assign,assignment]
        http.Headers.__contains__ = contains  # type: ignore[method-assign,assignment]
    if speed.unchecked_types and __debug__:
        http.MessageData.__post_init__ = unchecked  # type: ignore[method-assign]


def chosen_layer(top: Layer) -> Layer:
    """Return the layer that was chosen for a connection, or the first of those above it that has not chosen yet.

    What is left out has nothing left to do but to call the one below; stock binds their methods to it.
    """
    layer: Any = top
    while layer.debug is None:
        if layer.__class__ is HttpProxy and "_handle_event" in layer.__dict__:
            layer = layer._handle_event.__self__
        elif layer.__class__ is NextLayer and layer._handle is not None:
            layer = layer.layer
        else:
            break
    return cast(Layer, layer)


def tune_collector(speed: Speed) -> None:
    """Leave what is there now out of every later collection; to be called once, when everything has been opened."""
    if speed.tuned_collector:
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG, 20, 50)
