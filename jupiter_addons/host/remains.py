"""What is left of a client connection: layers that hold on to one another, and to themselves by their own methods.

Only the garbage collector would free them, and it looks at what has lived for a while so seldom that thousands of ended
connections would wait for it.
"""

from typing import Any

from mitmproxy.proxy.layer import Layer


def take_apart(top: Layer) -> None:
    """Empty a layer and every layer below it.  Nothing may be given to them afterwards."""
    found: list[Any] = [top]
    while found:
        layer = found.pop()
        if not isinstance(layer, Layer) or not layer.__dict__:
            continue
        state = dict(layer.__dict__)
        layer.__dict__.clear()
        found += [state.get(name) for name in ("child_layer", "layer", "tunnel_layer")]
        for name in ("connections", "streams"):
            found += list((state.get(name) or {}).values())
        if (context := state.get("context")) is not None:
            found += context.layers
            context.layers = []
